import assert from "node:assert/strict";
import { test } from "node:test";
import { report } from "../../core/eval/report.ts";
import { result } from "./results.ts";

const head = { facts: [["model", "tiny <b>"]] as [string, string][], command: "palimpsest eval a&b.txt" };
const policies = ["question", "probe=window,select=topk"];
const results = [500, 2000].flatMap((length) =>
  Array.from({ length: 10 }, (_, index) => index).flatMap((index) => {
    const place = { length, index, depth: index / 9 };
    return [
      result(place),
      ...policies.flatMap((policy) =>
        ["12.5%", "25%"].flatMap((budget) =>
          (["aware", "agnostic"] as const).map((protocol) =>
            result({ ...place, policy, budget, protocol, budgetSlots: length / 8, score: index % 2 })
          )
        )
      ),
    ];
  })
);

test("report: one file that asks for nothing: no addresses, scripts, links or images", () => {
  const page = report(results, head);
  assert.doesNotMatch(page, /https?:|<script|<link|<img|@import|url\(|src=/i);
  assert.match(page, /^<!doctype html>/);
  assert.ok(page.length < 300_000, `${page.length} characters`);
});

test("report: what a name says is text, never markup", () => {
  const page = report([result({}), result({ policy: `p="<x>"`, task: "a&b" })], head);
  assert.doesNotMatch(page, /<x>|tiny <b>/);
  assert.match(page, /tiny &#60;b&#62;/);
  assert.match(page, /a&#38;b/);
});

test("report: protocols apart, a chart per task and length, a map per policy and budget, a row per figure", () => {
  const page = report(results, head), count = (pattern: RegExp) => page.match(pattern)?.length ?? 0;
  const sections = page.split("<section>");
  assert.equal(sections.length, 1 + 2 + 1);
  assert.match(sections[1]!, /Query-aware/);
  assert.match(sections[2]!, /Query-agnostic/);
  assert.equal(count(/role="img"/g), 2 * 2);
  assert.equal(count(/<table class="heat">/g), 2 * (1 + policies.length * 2));
  assert.equal(count(/<tr(?: class="reference")?><td class="left">/g), 2 * (1 + policies.length * 2 * 2));
});

test("report: a map's cells are means over a fifth of the document, empty ones say so", () => {
  const found = [0.05, 0.15, 0.95, 1].map((depth, index) => result({ index, depth, score: index % 2 }));
  const page = report([...found, result({ policy: "question", depth: 1, score: 0 })], head);
  const [full, question] = page.split(`<table class="heat">`).slice(1).map((map) =>
    [...map.split("</table>")[0]!.matchAll(/<td class="(\w+)"[^>]*>([^<]*)</g)].map(([, shade, text]) => [shade, text])
  );
  assert.deepEqual(full, [["h5", "50"], ["none", "·"], ["none", "·"], ["none", "·"], ["h5", "50"]]);
  assert.deepEqual(question, [["none", "·"], ["none", "·"], ["none", "·"], ["none", "·"], ["h0", "0"]]);
});

test("report: numbers in drawings are numbers, also for one budget alone", () => {
  const page = report([result({}), result({ policy: "question" })], head);
  assert.doesNotMatch(page, /NaN|Infinity|undefined/);
});
