/** `palimpsest policies [name]`: the policies by what they need, one of them whole, or the variants of every stage. */
import { UsageError } from "../core/errors.ts";
import { measured, measuredRow } from "../core/measured.ts";
import { type PackMethod, trainingCommand } from "../core/pack/method.ts";
import { needs, packsOf, policyRecord } from "../core/policy.ts";
import { defaultPolicies, parsePolicy, policies, policyGroup, spelling, stageSummaries } from "../mod.ts";
import { useColor } from "./color.ts";
import { findPack } from "./packs.ts";
import { defaultModel, findRegistered } from "./registry.ts";
import { isTerminal, writeJson, writeStyled } from "./output.ts";
import { hanging, terminalWidth } from "./wrap.ts";

export interface PoliciesFlags {
  stages?: boolean | undefined;
  json?: boolean | undefined;
  color?: boolean | undefined;
}

/** Groups in the order in which they are shown. */
const groups: Record<ReturnType<typeof policyGroup>, string> = {
  default: "Defaults",
  question: "The question is known before the document is read",
  agnostic: "The question need not be known",
  baseline: "Baselines",
};

const stageNames = Object.keys(stageSummaries) as (keyof typeof stageSummaries)[];

/** @throws {UsageError} for a policy that is unknown */
export async function showPolicies(name: string | undefined, flags: PoliciesFlags): Promise<void> {
  if (name !== undefined && flags.stages) {
    throw new UsageError("--stages lists the variants of every stage: name no policy with it");
  }
  const shown: Described[] = [];
  for (const one of name === undefined ? Object.keys(policies) : [name]) shown.push(await describe(one));
  if (flags.json) {
    return writeJson({
      schema: "palimpsest.policies/1",
      command: "policies",
      policies: shown,
      defaults: defaultPolicies,
      stages: stageNames.map((stage) => ({ stage, ...stageSummaries[stage] })),
    });
  }
  const width = terminalWidth(), styles = stylesFor(flags.color);
  const lines = flags.stages
    ? stageLines(width, styles)
    : name === undefined
    ? groupLines(shown, width, styles)
    : oneLines(shown[0]!, width, styles);
  writeStyled(lines.join("\n") + "\n");
}

type Described = Awaited<ReturnType<typeof describe>>;

/** A named policy, or a combination that was spelled. */
async function describe(name: string) {
  const policy = parsePolicy(name), { name: _, ...stages } = policyRecord(policy);
  const question = needs(policy, "question");
  const own = {
    summary: "A combination of your own.",
    paper: "-",
    needs: question ? "the question before the document" : "nothing",
    cost: "-",
    stages,
  };
  return {
    name,
    ...(Object.hasOwn(policies, name) ? policies[name]! : own),
    group: policyGroup(name),
    measured: measured[name] ?? null,
    needsQuestion: question,
    packs: await Promise.all(packsOf(policy).map(packOf)),
  };
}

/** The default model's pack of a method: whether it is here, and what it measured when it was trained. */
async function packOf(method: PackMethod) {
  const { fingerprint } = findRegistered(defaultModel)!, pack = await findPack(method, fingerprint);
  return { method, model: defaultModel, path: pack?.path ?? null, validation: pack?.validation ?? null };
}

/** "judgeq for smollm2-135m: hit 72.2, kl 0.41" */
function packRow({ method, model, path, validation }: Awaited<ReturnType<typeof packOf>>): string {
  if (!path) return `none of ${method} for ${model} is here: ${trainingCommand(method)}`;
  const figures = Object.entries(validation!).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`);
  return `${method} for ${model}${figures.length > 0 ? `: ${figures.join(", ")}` : ""}`;
}

interface Styles {
  bold: (text: string) => string;
  dim: (text: string) => string;
}

function stylesFor(color: boolean | undefined): Styles {
  const styled = useColor(color, isTerminal.stdout());
  const style = (on: number, off: number) => (text: string) => styled ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return { bold: style(1, 22), dim: style(2, 22) };
}

const longest = (words: readonly string[]) => Math.max(...words.map((word) => word.length));

function groupLines(shown: readonly Described[], width: number, { bold, dim }: Styles): string[] {
  const indent = longest(shown.map(({ name }) => name)) + 2;
  const lines = Object.entries(groups).flatMap(([group, title]) => [
    bold(title),
    "",
    ...shown.filter((policy) => policy.group === group).flatMap((policy) => [
      ...hanging(policy.name, summary(policy), indent, width),
      ...hanging("", details(policy).map(([word, text]) => `${word}: ${text}`).join(" · "), 4, width).map(dim),
    ]),
    "",
  ]);
  return [
    ...lines,
    ...hanging(
      "",
      "palimpsest policies <name> shows one of them with its stages; --stages, what else can be combined.",
      0,
      width,
    ),
  ];
}

/** What is said of a policy beside its summary, where there is anything to say. */
const details = ({ name, paper, needs, cost, packs }: Described) =>
  ([
    ["paper", paper],
    ["needs", needs],
    ["cost", cost],
    ["measured", measuredRow(name) || "-"],
    ["pack", packs.map(packRow).join("; ") || "-"],
  ] as const).filter(([, text]) => text !== "-" && text !== "nothing");

/** Its summary, and the commands that take it where none is named. */
function summary({ name, summary }: Described): string {
  const { agnostic, ...byCommand } = defaultPolicies;
  if (name === agnostic) return `${summary} For a document that is read before its questions are known.`;
  const commands = Object.entries(byCommand).filter(([, policy]) => policy === name).map(([command]) => command);
  return commands.length > 0 ? `${summary} Default of ${commands.join(" and ")}.` : summary;
}

function oneLines(policy: Described, width: number, { bold, dim }: Styles): string[] {
  const indent = longest(stageNames) + 2;
  const said = (stage: (typeof stageNames)[number]) => {
    const summaries: Record<string, string> = stageSummaries[stage].variants;
    return policy.stages[stage].split("+").map((variant) => `${variant}: ${summaries[variant]}`).join("; and ");
  };
  return [
    bold(policy.name),
    ...hanging("", summary(policy), 0, width),
    "",
    ...details(policy).flatMap(([word, text]) => hanging(word, text, indent, width)),
    "",
    ...stageNames.flatMap((stage) => hanging(stage, said(stage), indent, width)),
    ...(parsePolicy(policy.name).evicts ? ["", dim(`--policy ${spelling(policy.stages)}`)] : []),
  ];
}

function stageLines(width: number, { bold, dim }: Styles): string[] {
  const indent = longest(stageNames.flatMap((stage) => Object.keys(stageSummaries[stage].variants))) + 2;
  return [
    ...stageNames.flatMap((stage) => {
      const [first, ...more] = hanging("", `${stage}: ${stageSummaries[stage].asks}`, 0, width);
      return [
        bold(stage) + dim(first!.slice(stage.length)),
        ...more.map(dim),
        ...Object.entries(stageSummaries[stage].variants).flatMap(([name, summary]) =>
          hanging(name, summary, indent, width)
        ),
        "",
      ];
    }),
    ...hanging(
      "",
      "The first variant of a stage is what a combination has that does not name the stage: --policy probe=window,aggregate=mean",
      0,
      width,
    ),
  ];
}
