/** How strongly a page shades what is left: the same in its style sheet, its drawings and its text. */

/** Shades, beside 0 for nothing left. */
export const SHADES = 9;

/** The shade of a share, 0 to 1. Few slots are seen, too: the scale is that of the root. */
export const shade = (part: number): number => Math.min(SHADES, Math.ceil(SHADES * Math.sqrt(part)));

/** Class names of the groups of layers. */
export const LETTERS = "abcdefghijklmnop";
