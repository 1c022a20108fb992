/** The page of an answer: what survived, counted; the whole document; and nothing that runs or comes from elsewhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { reportPage } from "../../core/report/page.ts";
import { shade, SHADES } from "../../core/report/shades.ts";
import { share, survival } from "../../core/report/survival.ts";
import { emptyTrace, type Trace } from "../../core/report/trace.ts";
import { Places } from "../../core/text/places.ts";
import { record as answerRecord } from "../cli/answer_record.ts";

/** Ids are characters. */
const tokenizer = {
  textStream: () => ({ push: (id: number) => String.fromCodePoint(id), finish: () => "" }),
};
const HEAD = 3, TEXT = "One & two <three>.\n\nFour \u001b]0;x\u0007five six seven eight nine ten.";

/** Two layers of two heads: all keep the first token, the second layer also the tokens from `from` on. */
function trace(text: string, from: number, places = new Places()): Trace {
  const tokens = [1, 2, 3, ...Array.from(text, (character) => character.codePointAt(0)!)], end = tokens.length;
  const late = Int32Array.from([0, HEAD, ...Array.from({ length: end - from - HEAD }, (_, i) => HEAD + from + i)]);
  return {
    ...emptyTrace(),
    chunks: [{ tokens: 20, before: 20, after: 12 }, { tokens: end, before: 30, after: 12 }],
    tokens,
    kept: [Int32Array.of(0, HEAD), Int32Array.of(-1, HEAD), late, late],
    layers: 2,
    document: { first: HEAD, end },
    places,
  };
}

test("survival: what heads kept of each token, by groups of layers, without the prompt's head and centroids", () => {
  const [all, first, second] = survival(trace(TEXT, 10));
  assert.deepEqual([all!.name, first!.name, second!.name, all!.heads, first!.heads], [
    "all layers",
    "layer 1",
    "layer 2",
    4,
    2,
  ]);
  assert.deepEqual([all!.kept[0], first!.kept[0], second!.kept[0]], [4, 2, 2]);
  assert.deepEqual([all!.kept[9], all!.kept[10], first!.kept[10], second!.kept[10]], [0, 2, 0, 2]);
  assert.equal(share(all!, 10, 14), 0.5);
  assert.deepEqual([shade(0), shade(1), shade(1e-6)], [0, SHADES, 1]);
});

function page(followed: Trace, question = "Why <b>not</b>?") {
  const record = {
    ...answerRecord,
    answer: `Because & so\u001b[31m.`,
    citations: [{ at: 0.5, source: '/home/me/a "b".pdf', page: 7, section: "On <i>", text: "five <six>" }],
  };
  return reportPage({ record, question, trace: followed, tokenizer, program: "Palimpsest 0" });
}

test("reportPage: the whole text with its pages and the passages' marks, escaped, without scripts or anything from elsewhere", () => {
  const places = new Places([{ from: HEAD, source: "a.pdf", page: 1 }, {
    from: HEAD + 20,
    source: "a.pdf",
    page: 2,
    section: "Four",
  }]);
  const html = page(trace(TEXT, 10, places));
  const article = html.slice(html.indexOf("<article>"), html.indexOf("</article>"));
  const text = article.replace(/<h4>.*?<\/h4>|<a class="mark".*?<\/a>/g, "").replace(/<br>/g, "\n").replace(
    /<[^>]*>/g,
    "",
  )
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code));
  // deno-lint-ignore no-control-regex
  assert.equal(text, TEXT.replace(/[\u001b\u0007]/g, ""));
  assert.match(article, /<h4>Page 1<\/h4>/);
  assert.match(article, /<h4>Page 2 · Four<\/h4>/);
  assert.match(article, /<a class="mark" id="c1">1<\/a>/);
  assert.match(html, /href="#c1"><b>a &#34;b&#34;\.pdf · page 7 · On &#60;i&#62;<\/b>/);
  assert.ok(!/<script|https?:|src=|@import|url\(/i.test(html), "something runs or is fetched");
  assert.ok(!html.includes("<b>not</b>") && !html.includes("<six>"));
  // deno-lint-ignore no-control-regex
  assert.ok(!/[\u0000-\u0008\u000b-\u001f]/.test(html));
});

test("reportPage: of a saved state, the text that is still known; and a long document makes a small page", () => {
  const { tokens, ...rest } = trace(TEXT, 10);
  const sources = Int32Array.from({ length: 8 }, (_, i) => HEAD + 30 + i);
  const known = { sources, tokens: Int32Array.from(sources, (source) => tokens[source]!) };
  const html = page({ ...rest, tokens: [], known });
  const article = html.slice(html.indexOf("<article>")).replace(/<[^>]*>/g, "");
  assert.match(article, /… .{6,8}/);
  assert.ok(!article.includes("One"));
  const long = page(trace("A line of a long book, as long as others are.\n".repeat(17_000), 700_000));
  assert.ok(long.length < 5e6, `${long.length} bytes for ${17_000 * 46} characters`);
});
