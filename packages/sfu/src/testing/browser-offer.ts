export interface OfferedLine {
  kind: 'audio' | 'video' | 'application';
  mid: string;
  direction?: string;
  port?: number;
  ssrc?: number;
  /** Attribute lines instead of the usual ones. */
  attributes?: string[];
}

const AUDIO = [
  'a=rtpmap:111 opus/48000/2',
  'a=rtcp-fb:111 transport-cc',
  'a=fmtp:111 minptime=10;useinbandfec=1',
  'a=rtpmap:63 red/48000/2',
  'a=fmtp:63 111/111',
  'a=rtpmap:9 G722/8000',
  'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  'a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  'a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid',
];
const VIDEO = [
  'a=rtpmap:96 VP8/90000',
  ...['goog-remb', 'transport-cc', 'ccm fir', 'nack', 'nack pli'].map((feedback) => `a=rtcp-fb:96 ${feedback}`),
  'a=rtpmap:97 rtx/90000',
  'a=fmtp:97 apt=96',
  'a=rtpmap:103 H264/90000',
  'a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f',
  ...['goog-remb', 'transport-cc', 'nack', 'nack pli'].map((feedback) => `a=rtcp-fb:103 ${feedback}`),
  'a=rtpmap:116 red/90000',
  'a=rtpmap:35 AV1/90000',
  'a=fmtp:35 level-idx=5;profile=0;tier=0',
  'a=extmap:14 urn:ietf:params:rtp-hdrext:toffset',
  'a=extmap:13 urn:3gpp:video-orientation',
  'a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid',
  'a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
];

/** A description as Chromium writes it. */
export function browserOffer(lines: OfferedLine[], setup = 'actpass'): string {
  const sections = lines.flatMap(({ kind, mid, direction = 'sendonly', port = 9, ssrc, attributes }) => {
    const transport = [
      'c=IN IP4 0.0.0.0',
      'a=ice-ufrag:browser1',
      'a=ice-pwd:0123456789abcdefghijklmn',
      'a=ice-options:trickle',
      `a=fingerprint:sha-256 ${new Array(32).fill('AB').join(':')}`,
      `a=setup:${setup}`,
      `a=mid:${mid}`,
    ];
    if (kind === 'application')
      return [
        `m=application ${port} UDP/DTLS/SCTP webrtc-datachannel`,
        ...transport,
        'a=sctp-port:5000',
        'a=max-message-size:262144',
      ];
    const media = attributes ?? (kind === 'audio' ? AUDIO : VIDEO);
    const payloadTypes = media.flatMap((line) => /^a=rtpmap:(\d+)/.exec(line)?.[1] ?? []);
    return [
      `m=${kind} ${port} UDP/TLS/RTP/SAVPF ${payloadTypes.join(' ')}`,
      ...transport,
      `a=${direction}`,
      'a=rtcp-mux',
      'a=rtcp-rsize',
      ...media,
      ...(ssrc === undefined
        ? []
        : [`a=ssrc-group:FID ${ssrc} ${ssrc + 1}`, `a=ssrc:${ssrc} cname:b`, `a=ssrc:${ssrc + 1} cname:b`]),
    ];
  });
  const mids = lines.filter(({ port }) => port !== 0).map(({ mid }) => mid);
  return ['v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0', `a=group:BUNDLE ${mids.join(' ')}`, ...sections, ''].join(
    '\r\n',
  );
}
