/** Mail, one message of RFC 5322 with its MIME parts, by postal-mime: who wrote what to whom, the text, and the names of what is attached. */
import { InputError } from "../../errors.ts";
import type { Format } from "./format.ts";
import { HtmlText } from "./html.ts";
import { whole } from "./whole.ts";

export const readMail: Format = async function* (bytes, { name }) {
  const { default: PostalMime } = await import("postal-mime");
  const mail = await PostalMime.parse(await whole(bytes, name), { maxNestingDepth: 100 }).catch((error: Error) => {
    throw new InputError(`${name} is a damaged mail: fetch it again`, { cause: error });
  });
  const people = (list: { name?: string | undefined; address?: string | undefined }[] = []) =>
    list.map((one) => one.name ? `${one.name} <${one.address ?? ""}>` : one.address ?? "").filter(Boolean).join(", ");
  const lines: [string, string | undefined][] = [
    ["From", mail.from && people([mail.from])],
    ["To", people(mail.to)],
    ["Cc", people(mail.cc)],
    ["Date", mail.date],
    ["Subject", mail.subject],
  ];
  const head = lines.filter(([, value]) => value).map(([word, value]) => `${word}: ${value!.replace(/\s+/g, " ")}\n`)
    .join("");
  const section = mail.subject?.replace(/\s+/g, " ").slice(0, 200);
  if (head) yield { text: `${head}\n`, ...section ? { section } : {} };
  if (mail.text?.trim()) yield { text: `${mail.text.trim()}\n` };
  else if (mail.html) {
    const html = new HtmlText();
    html.push(mail.html);
    yield* html.end();
  }
  const attached = mail.attachments.map(({ filename, mimeType }) => filename ?? mimeType);
  if (attached.length > 0) yield { text: `\nAttached: ${attached.join(", ")}\n` };
  if (!head && !mail.text?.trim() && !mail.html) {
    throw new InputError(`${name} is a mail without text: a document needs some`);
  }
};
