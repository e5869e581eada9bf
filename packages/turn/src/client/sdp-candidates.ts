/** Address and port of a UDP candidate line; undefined for anything else. */
export function candidateOf(line: string): { address: string; port: number } | undefined {
  const match = /candidate:\S+ 1 UDP \d+ (\S+) (\d+) typ /i.exec(line);
  return match ? { address: match[1] as string, port: Number(match[2]) } : undefined;
}

/** A description without candidates: they are sent on their own, or not at all. */
export function withoutCandidates(sdp: string): string {
  return sdp.replaceAll(/^a=(?:candidate:.*|end-of-candidates)\r?\n/gm, '');
}
