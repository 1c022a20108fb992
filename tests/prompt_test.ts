import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ModelError } from "../core/errors.ts";
import { renderPrompt } from "../core/text/prompt.ts";
import { realTokenizer, SKIP_REAL } from "./synthetic_tokenizer.ts";

const CHATML = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

const withTemplate = (chatTemplate: string | null) => ({ chatTemplate, bosToken: "<s>", eosToken: "</s>" });

test("renderPrompt: the document stands before the instruction in the user's message", () => {
  assert.deepEqual(renderPrompt(withTemplate(CHATML), { system: "Be brief.", instruction: "Why?" }), {
    head: "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n",
    tail: "\n\nWhy?<|im_end|>\n<|im_start|>assistant\n",
  });
});

test("renderPrompt: a model without a template gets plain text", () => {
  assert.deepEqual(renderPrompt(withTemplate(null), { instruction: "Why?" }), { head: "", tail: "\n\nWhy?\n" });
  assert.equal(renderPrompt(withTemplate(null), { system: "Be brief.", instruction: "Why?" }).head, "Be brief.\n\n");
});

test("renderPrompt: the template gets the begin and end tokens", () => {
  const { head, tail } = renderPrompt(withTemplate("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"), {
    instruction: "Why?",
  });
  assert.deepEqual([head, tail], ["<s>", "\n\nWhy?</s>"]);
});

test("renderPrompt: the begin token comes first, once, where the model expects it", () => {
  const render = (chatTemplate: string | null, addBos: boolean) =>
    renderPrompt({ ...withTemplate(chatTemplate), addBos }, { instruction: "Why?" }).head;
  assert.equal(render(null, true), "<s>");
  assert.equal(render(null, false), "");
  assert.equal(render("{{ bos_token }}[{{ messages[0].content }}", true), "<s>[");
  assert.equal(render("[{{ messages[0].content }}", true), "<s>[");
});

test("renderPrompt: a model that can think is asked not to, and one that is made to is stopped", () => {
  const asked =
    "{{ messages[0].content }}<a>{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}";
  assert.equal(renderPrompt(withTemplate(asked), { instruction: "Why?" }).tail, "\n\nWhy?<a><think>\n\n</think>\n\n");
  const made = "{{ messages[0].content }}<a><think>\n";
  assert.equal(renderPrompt(withTemplate(made), { instruction: "Why?" }).tail, "\n\nWhy?<a><think>\n\n</think>\n\n");
});

for (const filter of ["trim", "upper", "lower", "title", "capitalize", "tojson", "string", "replace('\\n', ' ')"]) {
  test(`renderPrompt: the filter ${filter} does not move the document`, () => {
    const template = `[{{ messages[0]['content'] | ${filter} }}]`;
    const { head, tail } = renderPrompt(withTemplate(template), { instruction: "why?" });
    assert.match(head, /^\["?$/);
    assert.match(tail, /why\?"?\]$/i);
  });
}

test("renderPrompt: a line feed at the template's beginning stays", () => {
  assert.equal(renderPrompt(withTemplate("\n{{ messages[0].content }}"), { instruction: "Why?" }).head, "\n");
});

test("renderPrompt: an instruction that holds the mark is not taken for the document", () => {
  const instruction = "\u{E0D1}\u{E0C5}\u{E0D2}".repeat(3);
  const { head, tail } = renderPrompt(withTemplate("<{{ messages[0].content }}>"), { instruction });
  assert.deepEqual([head, tail], ["<", `\n\n${instruction}>`]);
});

test("renderPrompt: a template that refuses a system message gets it at the head of the user's", () => {
  const template = "{% if messages[0].role == 'system' %}{{ raise_exception('No system role') }}{% endif %}" +
    "<{{ messages[0].content }}>";
  assert.deepEqual(renderPrompt(withTemplate(template), { system: "Be brief.", instruction: "Why?" }), {
    head: "<Be brief.\n\n",
    tail: "\n\nWhy?>",
  });
});

test("renderPrompt: a date in the template is the same every day", () => {
  const template = "{%- set today = strftime_now('%d %b %Y') %}\n{{ today ~ messages[0].content }}";
  assert.equal(renderPrompt(withTemplate(template), { instruction: "Why?" }).head, "26 Jul 2024");
  const optional = "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% endif %}{{ messages[0].content }}";
  assert.equal(renderPrompt(withTemplate(optional), { instruction: "Why?" }).head, "26 Jul 2024");
});

test("renderPrompt: a template that cannot be used is a ModelError that says why", () => {
  const refused = (template: string, message: RegExp) =>
    assert.throws(
      () => renderPrompt(withTemplate(template), { system: "s", instruction: "Why?" }),
      (error) => error instanceof ModelError && message.test(error.message),
    );
  refused("{% for m in messages %}", /Cannot render/);
  refused("{{ raise_exception('Not today') }}", /Not today/);
  refused("hello", /0 times/);
  refused("{{ messages[-1].content }}{{ messages[-1].content }}", /2 times/);
});

test("renderPrompt: head, document and tail make the golden prompt of SmolLM2", { skip: SKIP_REAL }, async () => {
  const golden = JSON.parse(
    readFileSync(new URL("../fixtures/golden/real/smollm2_135m_q4_1.json", import.meta.url), "utf8"),
  );
  const tokenizer = await realTokenizer();
  const { head, tail } = renderPrompt(tokenizer, { instruction: golden.chat.question });
  assert.equal(head + golden.text + tail, golden.chat.prompt);
  const ids = [
    ...tokenizer.encode(head, { control: true }),
    ...tokenizer.encode(golden.text, { control: false }),
    ...tokenizer.encode(tail, { control: true }),
  ];
  assert.deepEqual(ids, golden.chat.prompt_ids);
});
