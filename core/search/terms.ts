/**
 * Terms of a text, as full-text search compares them: words without case, marks and endings. An ending is cut off by length, which needs no language and finds
 * about as much as a language's own stemmer (McNamee and Mayfield, Information Retrieval 7, 2004). Scripts that part no words give pairs of characters.
 */

/** Letters of a word that count. */
const STEM = 6;

const UNSPACED = String
  .raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}`;
const RUN = new RegExp(String.raw`[${UNSPACED}]+|(?:(?![${UNSPACED}])[\p{L}\p{N}])+`, "gu");
const IS_UNSPACED = new RegExp(`^[${UNSPACED}]`, "u");
const MARKS = /\p{M}+/gu;

/** In the text's order, each as often as it stands there. */
export function terms(text: string): string[] {
  const found: string[] = [];
  for (const [run] of text.normalize("NFKD").replace(MARKS, "").normalize("NFC").toLowerCase().matchAll(RUN)) {
    if (!IS_UNSPACED.test(run)) {
      found.push(/\d/.test(run) ? run : run.slice(0, STEM));
      continue;
    }
    const letters = [...run];
    if (letters.length === 1) found.push(run);
    for (let i = 1; i < letters.length; i++) found.push(letters[i - 1]! + letters[i]!);
  }
  return found;
}
