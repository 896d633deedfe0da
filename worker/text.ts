/** Foreign text inside messages for people: short, printable, on one line. */

/** Longest piece of foreign text in a message, in characters: enough to find it, too little to leak a body. */
const MAX_SHOWN = 60;

/** `text` in double quotes, cut to 60 characters, everything that is not plainly visible escaped. */
export function quoted(text: string): string {
  const characters = Array.from(text.slice(0, 2 * MAX_SHOWN));
  const shown = characters.slice(0, MAX_SHOWN).map(printable).join('');
  return text.length > characters.slice(0, MAX_SHOWN).join('').length ? `"${shown}…"` : `"${shown}"`;
}

/** `quoted` for text in which every character stands for one byte (`latin1`), shown as the UTF-8 it is likely to be. */
export function quotedBytes(bytes: string): string {
  // A character of UTF-8 has at most 4 bytes, so what the cut leaves of the last one is never shown.
  return quoted(Buffer.from(bytes.slice(0, 4 * (MAX_SHOWN + 1)), 'latin1').toString());
}

function printable(character: string): string {
  if (character === '\n') return String.raw`\n`;
  if (character === '\r') return String.raw`\r`;
  if (character === '\t') return String.raw`\t`;
  if (character === '"' || character === '\\') return `\\${character}`;
  // Controls, invisible and direction-changing characters, lone surrogates, and every space but the common one.
  if (character !== ' ' && /[\p{C}\p{Z}]/u.test(character)) {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  }
  return character;
}
