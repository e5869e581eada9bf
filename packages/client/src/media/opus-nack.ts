/** `a=rtpmap` of Opus (RFC 7587 section 7), with its payload type. */
const OPUS = /^a=rtpmap:(\d+) opus\/48000\/2\r\n/im;

/**
 * Makes a description of ours, not set yet, say that lost audio packets are asked for again (RFC 4585 section 4.2): browsers
 * can do that for Opus, and the description is the only way to tell them to.
 *
 * @param offer what it answers, which it may not go beyond; undefined for an offer
 */
export function withOpusNack(sdp: string, offer?: string): string {
  const offered = offer === undefined ? undefined : new Map(sectionsOf(offer).map((each) => [midOf(each), each]));
  return sectionsOf(sdp)
    .map((section) => {
      if (hasNack(section) || (offered && !hasNack(offered.get(midOf(section)) ?? ''))) return section;
      return section.replace(OPUS, (line, payloadType) => `${line}a=rtcp-fb:${payloadType} nack\r\n`);
    })
    .join('');
}

/** The session part, then every m-section. */
function sectionsOf(sdp: string): string[] {
  return sdp.split(/^(?=m=)/m);
}

function midOf(section: string): string | undefined {
  return /^a=mid:(.*)\r$/m.exec(section)?.[1];
}

function hasNack(section: string): boolean {
  const payloadType = OPUS.exec(section)?.[1];
  return payloadType !== undefined && section.includes(`a=rtcp-fb:${payloadType} nack\r\n`);
}
