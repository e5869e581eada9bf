const CODEC = /^a=rtpmap:(\d+) opus\//im;

/**
 * Asks our own encoders of the m-lines `mids` to send next to nothing in silence (Opus discontinuous transmission). An
 * encoder does as the other side's description says (RFC 7587 section 6.1), so the server's answer is what is changed.
 */
export function withDtx(answer: string, mids: ReadonlySet<string>): string {
  return answer
    .split(/^(?=m=)/m)
    .map((section) => (mids.has(/^a=mid:(\S+)/m.exec(section)?.[1] ?? '') ? amend(section) : section))
    .join('');
}

function amend(section: string): string {
  const payloadType = CODEC.exec(section)?.[1];
  if (payloadType === undefined) return section;
  const parameters = new RegExp(`^(a=fmtp:${payloadType} [^\\r\\n]*)`, 'm');
  return parameters.test(section)
    ? section.replace(parameters, '$1;usedtx=1')
    : section.replace(/^a=rtpmap:[^\r\n]* opus\/[^\r\n]*/im, `$&\r\na=fmtp:${payloadType} usedtx=1`);
}
