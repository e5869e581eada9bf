// The part of sdp-transform that is used here; the package brings no types. Numbers appear wherever a value looks like one.
declare module 'sdp-transform' {
  export interface SdpMedia {
    type: string;
    port: number;
    protocol: string;
    payloads?: string | number;
    connection?: { version: number; ip: string };
    mid?: string | number;
    direction?: 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
    rtp: { payload: number; codec: string; rate?: number; encoding?: number | string }[];
    fmtp: { payload: number; config: string | number }[];
    rtcpFb?: { payload: number | string; type: string; subtype?: string }[];
    ext?: { value: number; uri: string; direction?: string }[];
    ssrcs?: { id: number; attribute: string; value?: string | number }[];
    ssrcGroups?: { semantics: string; ssrcs: string | number }[];
    rids?: { id: string | number; direction: string; params?: string }[];
    simulcast?: { dir1: string; list1: string | number; dir2?: string; list2?: string | number };
    extmapAllowMixed?: string;
    msid?: { id: string | number; appdata?: string | number }[];
    iceUfrag?: string | number;
    icePwd?: string | number;
    iceOptions?: string | number;
    fingerprint?: { type: string; hash: string };
    setup?: string;
    candidates?: SdpCandidate[];
    endOfCandidates?: string;
    rtcpMux?: string;
    rtcpRsize?: string;
    bundleOnly?: string;
    sctpPort?: number;
    maxMessageSize?: number;
  }
  export interface SdpCandidate {
    foundation: string | number;
    component: number;
    transport: string;
    priority: number | string;
    ip: string;
    port: number;
    type: string;
    raddr?: string;
    rport?: number;
    tcptype?: string;
    generation?: number;
  }
  export interface SdpSession {
    version: number;
    origin: {
      username: string | number;
      sessionId: number | string;
      sessionVersion: number;
      netType: string;
      ipVer: number;
      address: string;
    };
    name: string | number;
    timing: { start: number; stop: number };
    groups?: { type: string; mids: string | number }[];
    msidSemantic?: { semantic: string; token: string };
    iceUfrag?: string | number;
    icePwd?: string | number;
    iceOptions?: string | number;
    fingerprint?: { type: string; hash: string };
    setup?: string;
    extmapAllowMixed?: string;
    media: SdpMedia[];
  }
  export function parse(sdp: string): SdpSession;
  export function write(session: SdpSession): string;
}
