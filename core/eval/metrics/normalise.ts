/** LongBench's normalisation, which is SQuAD's: lower case, no punctuation, no articles, single spaces. */
export function normalise(text: string): string {
  return text.toLowerCase()
    // ASCII only, as Python's string.punctuation
    .replace(/[!-/:-@[-`{-~]/g, "")
    .replace(/\b(a|an|the)\b/g, " ")
    .split(/\s+/).filter(Boolean).join(" ");
}
