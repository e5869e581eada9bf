/** What a description says of the transport of a bundle. */
export interface Transport {
  readonly ufrag: string;
  readonly password: string;
  readonly fingerprint: string;
}

/** For a client without one. */
export const NO_TRANSPORT: Transport = {
  ufrag: 'fuzz',
  password: 'a-password-of-the-fuzzer',
  fingerprint: `sha-256 ${new Array(32).fill('AB').join(':')}`,
};

export function transportOf(sdp: string): Transport {
  const read = (name: string) => new RegExp(`^a=${name}:(.*?)\\r?$`, 'm').exec(sdp)?.[1] ?? '';
  return { ufrag: read('ice-ufrag'), password: read('ice-pwd'), fingerprint: read('fingerprint') };
}

/** The same description for another transport, without candidates. */
export function withTransport(sdp: string, { ufrag, password, fingerprint }: Transport): string {
  return sdp
    .replaceAll(/^a=(?:candidate:.*|end-of-candidates)\r\n/gm, '')
    .replaceAll(/^a=ice-ufrag:.*$/gm, `a=ice-ufrag:${ufrag}\r`)
    .replaceAll(/^a=ice-pwd:.*$/gm, `a=ice-pwd:${password}\r`)
    .replaceAll(/^a=fingerprint:.*$/gm, `a=fingerprint:${fingerprint}\r`);
}

/** An answer that takes everything that the SFU offers. */
export function answerTo(offer: string, transport: Transport): string {
  return withTransport(offer, transport)
    .replaceAll(/^a=(?:ssrc|ssrc-group|msid):.*\r\n/gm, '')
    .replaceAll('a=sendonly', 'a=recvonly')
    .replaceAll('a=setup:active', 'a=setup:passive');
}

/** The SSRCs that a description of the SFU announces. */
export function ssrcsIn(sdp: string): number[] {
  return Array.from(sdp.matchAll(/^a=ssrc:(\d+) /gm), ([, ssrc]) => Number(ssrc));
}

function midsIn(sdp: string): string[] {
  return Array.from(sdp.matchAll(/^a=mid:(.*?)\r?$/gm), ([, mid = '']) => mid);
}

/** The SFU's UDP addresses. */
export function candidatesIn(sdp: string): { address: string; port: number }[] {
  const found = sdp.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) /gim);
  return Array.from(found, ([, address = '', port]) => ({ address, port: Number(port) }));
}

/** What is wrong with a description of the SFU by its form alone. */
export function faultOfSdp(sdp: string): string | undefined {
  const lines = sdp.split('\r\n');
  if (lines.pop() !== '') return 'a description without an end';
  const odd = lines.find((line) => !/^[a-z]=[^\r\n]*$/.test(line));
  if (odd !== undefined) return `a line that is none: ${odd}`;
  const mids = midsIn(sdp);
  if (new Set(mids).size !== mids.length) return 'two m-lines of one name';
  if (mids.length !== lines.filter((line) => line.startsWith('m=')).length) return 'an m-line without a name';
  return undefined;
}

/**
 * What libdatachannel is told of the SFU's answer: the transport, for the m-lines that it knows itself.
 * @param native its own offer
 */
export function answerForNative(answer: string, native: string): string {
  const { ufrag, password, fingerprint } = transportOf(answer);
  const candidates = [...new Set(answer.match(/^a=candidate:.*$/gm))].map((line) => line.trim());
  const transport = [
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${password}`,
    `a=fingerprint:${fingerprint}`,
    'a=setup:active',
  ];
  const mids = midsIn(native);
  const sections = mids.flatMap((mid) => {
    const section = native.split(/^(?=m=)/m).find((text) => midsIn(text)[0] === mid && text.startsWith('m=')) ?? '';
    const first = section.slice(0, section.indexOf('\r\n'));
    const more = first.startsWith('m=application')
      ? ['a=sctp-port:5000', 'a=max-message-size:65536']
      : ['a=sendrecv', 'a=rtcp-mux', 'a=rtpmap:96 VP8/90000'];
    return [first, ...transport, `a=mid:${mid}`, ...more, ...(mid === mids[0] ? candidates : [])];
  });
  const session = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', `a=group:BUNDLE ${mids.join(' ')}`];
  return [...session, ...sections, ''].join('\r\n');
}
