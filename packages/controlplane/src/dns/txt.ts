/** Text as the character strings of a TXT record, of at most 255 bytes each (RFC 1035 section 3.3.14). */
export function txtStrings(value: string): Buffer[] {
  const bytes = Buffer.from(value);
  const strings: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += 255) strings.push(bytes.subarray(at, at + 255));
  return strings;
}
