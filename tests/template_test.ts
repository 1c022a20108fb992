import assert from "node:assert/strict";
import { test } from "node:test";
import { chatTemplate } from "../core/text/template.ts";

const M = "{{ messages[0].content }}";
const render = (source: string) => chatTemplate(source)({ messages: [{ role: "user", content: "text" }] });
const doubled = (times: number, first: string, more: string) =>
  `{% set x = ${first} %}` + `{% set x = ${more} %}`.repeat(times);

/** Each would take hours or all memory. */
const BOMBS: [what: string, source: string, message: RegExp][] = [
  ["a long range", "{% for i in range(1000000000) %}{% endfor %}", /counts to 1000000000 in one range/],
  ["a range without an end", "{% for i in range(0, 2 ** 1023) %}{% endfor %}", /range\(\) takes whole numbers/],
  [
    "nested loops",
    "{% for i in range(9999) %}{% for j in range(9999) %}{% for k in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
    /more than 1048576 steps/,
  ],
  ["a macro that calls itself", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", /calls itself more than 400 deep/],
  [
    "a macro that calls itself twice",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    /more than 1048576 steps/,
  ],
  ["a doubled text", doubled(60, "'abcdefgh'", "x ~ x"), /more than 10\d+ characters/],
  ["a doubled text in a macro", doubled(60, "'abcdefgh'", "x + x") + "{{ x }}", /more than 10\d+ characters/],
  ["a doubled list", doubled(60, "[1, 2]", "x + x"), /more than/],
  ["lists of lists of lists", doubled(60, "['a']", "[x, x]") + "{{ x }}", /more than 10\d+ characters/],
  [
    "objects of objects",
    doubled(60, "{'a': 1}", "{'a': x, 'b': x}") + "{{ x | tojson }}",
    /more than 10\d+ characters/,
  ],
  ["compared lists", doubled(60, "['a']", "[x, x]") + "{{ x == 'a' }}", /more than 10\d+ characters/],
  ["a namespace in itself", "{% set n = namespace(a=1) %}{% set n.a = n %}{{ n }}", /nested|more than/],
  ["grown replacements", doubled(9, "'aaaaaaaa'", "x | replace('a', x)"), /its replace would make|more than/],
  ["grown replacements by method", doubled(9, "'aaaaaaaa'", "x.replace('a', x)"), /its replace would make|more than/],
  [
    "a method that is kept",
    doubled(16, "'a'", "x ~ x") + "{% set f = x.replace %}{{ f('a', x) }}",
    /its replace would make/,
  ],
  ["a wide indent", "{{ ('a\\n' ~ 'b') | indent(2147483647) }}", /its indent would make/],
  ["wide JSON", "{{ [[[1]]] | tojson(indent=2000000000) }}", /its tojson would make/],
  ["a wide separator", doubled(16, "'a'", "x ~ x") + "{{ x | join(x) }}", /its join would make/],
  ["long text in loops", doubled(16, "'a'", "x ~ x") + "{% for i in range(60000) %}{{ x }}{% endfor %}", /steps/],
  ["a deep expression", `{{ ${"(".repeat(100_000)}1${")".repeat(100_000)} }}`, /nested too deep/],
  ["a long sum", `{{ ${"1+".repeat(50_000)}1 }}`, /nested/],
  ["white space", `${" ".repeat(200_000)}x`, /4096 characters of white space in a row/],
  ["a long source", "a".repeat(300_000), /it has 300000 characters, and up to 262144 work/],
  [
    "macros within loops",
    `{% for i in range(60000) %}{% macro f() %}${M.repeat(2000)}{% endmacro %}{% endfor %}`,
    /steps/,
  ],
];

for (const [what, source, message] of BOMBS) {
  test(`chatTemplate refuses ${what}`, () => {
    const started = performance.now(), before = process.memoryUsage.rss();
    assert.throws(() => render(source), (error: Error) => {
      assert.equal(error.name, "ModelError");
      assert.match(error.message, message);
      assert.ok(error.message.length < 300 && !error.message.includes("\n"));
      return true;
    });
    const took = performance.now() - started;
    assert.ok(took < 8000, `${took} ms`);
    assert.ok(process.memoryUsage.rss() - before < 5e8);
  });
}

test("chatTemplate: what real templates do stays: loops that are left, long texts, filters, methods, namespaces", () => {
  const source = "{% set ns = namespace(n=0) %}{% for i in range(300) %}{% if i == 200 %}{% break %}{% endif %}" +
    "{% if i % 2 %}{% continue %}{% endif %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}" +
    "{% for m in messages %}{{ m.content.replace('a', 'bb').strip().split('b')[0] | trim | replace('x', 'y') }}" +
    "{{ m | tojson(indent=2) | length }}{{ [m.role] | join(', ') }}{% endfor %}{{ messages | length }}";
  const content = "x".repeat(300_000);
  const rendered = chatTemplate(source)({ messages: [{ role: "user", content }] });
  assert.equal(rendered, `100${"y".repeat(300_000)}300037user1`);
});
