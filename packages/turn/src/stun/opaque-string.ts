/** All of it printable ASCII: prepared already. Nearly every username, realm and password is. */
const ASCII = /^[\x20-\x7e]+$/;

/**
 * What the FreeformClass keeps out (RFC 8264 sections 4.3 and 9): characters that are controls, surrogates, private,
 * not assigned, separators of lines, invisible, or old Hangul letters. Format characters are not of the class either.
 */
const DISALLOWED =
  /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u1100-\u11ff\ua960-\ua97c\ud7b0-\ud7fb]/u;

/**
 * Prepares what a user types as username, realm or password, so that it compares equal however it was typed: the
 * OpaqueString profile (RFC 8265 section 4.2), which RFC 8489 section 9.2 asks for. Every space becomes U+0020, then
 * Unicode normalization form C. Joiners, which the profile allows beside certain letters, are refused.
 * @param what names the text in the error
 * @throws RangeError when the text is empty or holds a character the profile does not allow
 */
export function opaqueString(text: string, what: string): string {
  if (ASCII.test(text)) return text;
  if (text === '') throw new RangeError(`the ${what} is empty`);
  const disallowed = DISALLOWED.exec(text)?.[0]?.codePointAt(0);
  if (disallowed !== undefined) {
    const name = `U+${disallowed.toString(16).toUpperCase().padStart(4, '0')}`;
    throw new RangeError(`the ${what} holds ${name}, which RFC 8265 does not allow; remove it`);
  }
  return text.replaceAll(/\p{Zs}/gu, ' ').normalize('NFC');
}
