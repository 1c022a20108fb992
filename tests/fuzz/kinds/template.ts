/** Chat templates: any program of Jinja's grammar, and the published ones with changes. */
import { readdirSync, readFileSync } from "node:fs";
import { renderPrompt } from "../../../core/text/prompt.ts";
import { fixture } from "../../host.ts";
import type { Kind } from "../kind.ts";
import { mutatedText } from "../mutate.ts";
import type { Random } from "../random.ts";

export const template: Kind = {
  name: "template",
  share: 10,
  codes: [5],
  prepare() {
    const folder = fixture("tokenizers");
    const published = readdirSync(folder).filter((name) => name.endsWith(".json"))
      .map((name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8")).config?.chat_template)
      .filter((one) => typeof one === "string");
    return Promise.resolve((random) => {
      const chatTemplate = random.chance(0.3) && published.length > 0
        ? mutatedText(random, random.pick<string>(published))
        : statements(random, 3) + (random.chance(0.5) ? "{{ messages[-1].content }}" : "");
      renderPrompt({ chatTemplate, bosToken: "<s>", eosToken: "</s>" }, { system: "s", instruction: "Why?" });
      return Promise.resolve(true);
    });
  },
};

const NAMES = ["a", "b", "n", "f", "messages", "loop", "bos_token"];

function statements(random: Random, depth: number): string {
  return Array.from({ length: 1 + random.below(4) }, () => statement(random, depth)).join("");
}

function statement(random: Random, depth: number): string {
  const inner = () => depth > 0 ? statements(random, depth - 1) : "x", name = random.pick(NAMES);
  const value = () => expression(random, 3);
  return random.pick([
    () => `{{ ${value()} }}`,
    () => `{% set ${name} = ${value()} %}`,
    () => `{% set ${name} = ${name} ~ ${name} %}`.repeat(random.pick([1, 5, 60])),
    () => `{% set ${name} = [${name}, ${name}] %}`.repeat(random.pick([1, 5, 60])),
    () => `{% set n = namespace(a=${value()}) %}{% set n.a = ${random.pick(["n", value()])} %}`,
    () => `{% for ${name} in ${random.pick([`range(${number(random)})`, value()])} %}${inner()}{% endfor %}`,
    () => `{% if ${value()} %}${inner()}{% elif ${value()} %}${inner()}{% else %}y{% endif %}`,
    () => `{% macro f(a, b=${value()}) %}${inner()}{{ f(${value()}) }}{% endmacro %}`,
    () => `{% filter ${filter(random)} %}${inner()}{% endfilter %}`,
    () => `{% call f(${value()}) %}${inner()}{% endcall %}`,
    () => random.pick(["{% break %}", "{% continue %}", "text\n", "{# c #}", "{%- ", "}}", " \n".repeat(200)]),
  ])();
}

const number = (random: Random) => String(random.pick([0, 1, 2, 9, 300, 60_000, 1e9, 2 ** 31, -5, 1.5]));
const quoted = (random: Random) => random.pick(["''", "'a'", "'a b\\n'", `'${"ab".repeat(500)}'`, "','"]);

function filter(random: Random): string {
  return random.pick([
    () =>
      random.pick(["tojson", "string", "length", "list", "upper", "trim", "sort", "unique", "join", "first", "items"]),
    () => `tojson(indent=${number(random)})`,
    () => `indent(${number(random)})`,
    () => `replace(${quoted(random)}, ${random.pick([quoted(random), random.pick(NAMES)])})`,
    () => `join(${random.pick([quoted(random), random.pick(NAMES)])})`,
    () => `default(${number(random)})`,
    () => `map(attribute='content')`,
    () => `selectattr('role', 'equalto', 'user')`,
  ])();
}

function expression(random: Random, depth: number): string {
  const more = () => depth > 0 ? expression(random, depth - 1) : random.pick(NAMES);
  return random.pick([
    () => random.pick(NAMES),
    () => number(random),
    () => quoted(random),
    () =>
      `${more()} ${random.pick(["+", "-", "*", "/", "**", "//", "%", "~", "==", "in", "and", "or", "<"])} ${more()}`,
    () => `(${more()}) | ${filter(random)}`,
    () => `${more()}[${random.pick([number(random), quoted(random), `${number(random)}:`, "::-1"])}]`,
    () => `${more()}.${random.pick(["content", "role", "split", "items", "length", "x"])}`,
    () => `${more()}.${random.pick(["split(' ')", "replace('a', a)", "strip()", "items()", "upper()", "dictsort()"])}`,
    () => `[${more()}, ${more()}]`,
    () => `{'a': ${more()}, 'b': ${more()}}`,
    () => `f(${more()})`,
    () => `(${more()} if ${more()} else ${more()})`,
    () => `not ${more()}`,
    () => random.pick(["raise_exception('no')", "strftime_now('%Y')", "range(9)", "namespace(a=1)"]),
  ])();
}
