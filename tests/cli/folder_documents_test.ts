/** Folders and patterns as documents. */
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openDocuments } from "../../cli/documents.ts";
import { REPORT_MARK } from "../../core/report/mark.ts";
import { withFolder } from "./helpers.ts";

test("a folder is its documents by their names, a pattern those that it finds; what is no text is left out and told", () =>
  withFolder(async (folder) => {
    const at = (name: string) => join(folder, name);
    mkdirSync(at("b"));
    mkdirSync(at(".git"));
    mkdirSync(at("none"));
    for (const name of ["b/two.md", "a.txt", "c.html", ".git/config", ".hidden"]) {
      writeFileSync(at(name), `text of ${name}`);
    }
    writeFileSync(at("picture.txt"), Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0));
    writeFileSync(at("empty.txt"), "");
    writeFileSync(at("report.html"), `<!doctype html>\n<html lang="en">\n${REPORT_MARK}\n<p>An earlier answer.`);
    symlinkSync(folder, at("b/loop"));
    const remarks: string[] = [];
    const names = async (...given: string[]) =>
      (await openDocuments(given, (message) => remarks.push(message))).map(({ name }) => name.slice(folder.length + 1));
    assert.deepEqual(await names(folder), ["a.txt", "b/two.md", "c.html"]);
    assert.match(remarks[0]!, /: 3 of 6 files are no documents and were left out$/);
    assert.deepEqual(await names(at("**/*.md"), at("c.html")), ["b/two.md", "c.html"]);
    assert.deepEqual(await names(at("*.{txt,html}")), ["a.txt", "c.html"]);
    await assert.rejects(names(at("none")), { name: "InputError", message: /none: no file is there/ });
    await assert.rejects(names(at("pict*")), { message: /none of its 1 files can be read as text/ });
    // a link to a file is one; to nothing, or to what is there by another name, it is none
    symlinkSync(at(".hidden"), at("b/linked.txt"));
    symlinkSync(at("c.html"), at("d.html"));
    symlinkSync(at("gone.txt"), at("unreadable.txt"));
    remarks.length = 0;
    assert.deepEqual(await names(folder), ["a.txt", "b/linked.txt", "b/two.md", "c.html"]);
    assert.match(remarks[0]!, /: 3 of 8 files are no documents and were left out$/);
    assert.match(remarks[1]!, /: left out what could not be read: .*unreadable\.txt$/);
    await assert.rejects(names(at("unread*")), { message: /no document .* can be read \(.*unreadable\.txt cannot\)$/ });
    // named alone, what is no document is refused before those beside it are read
    for (const [name, message] of [["picture.txt", /is a PNG image/], ["empty.txt", /is empty/]] as const) {
      await assert.rejects(names(at("a.txt"), at(name)), { name: "InputError", message });
    }
    writeFileSync(at("odd[1].txt"), "a name with signs of patterns");
    assert.deepEqual(await names(at("odd[1].txt")), ["odd[1].txt"]);
  }));
