import type { NamespaceAccess } from '../cluster/local-cluster.ts';
import type { BrowserDriver, BrowserPage } from './driver.ts';
import { type ConnectionStats, READ_STATS } from './observer.ts';

export interface WhipPageOptions {
  kind: 'whip' | 'whep';
  room: string;
  /** Query after the endpoint, without `?`. */
  query?: string;
  /** Number of the node whose gateway is asked. */
  node?: number;
  /** Trickle ICE with the servers that the answer links to; else one offer with all candidates. */
  trickle: boolean;
  /** Send a picture of 1280 by 720 in three layers, the largest first, in place of the camera's. */
  simulcast?: boolean;
  /** Use TURN only, as a namespace that forces relaying wants; true unless set. */
  relay?: boolean;
}

/** A WHIP or WHEP client made of `fetch` and RTCPeerConnection, by the text of RFC 9725. */
const CLIENT = `(() => {
  const serversOf = (response) =>
    [...(response.headers.get('link') ?? '').matchAll(/<([^>]+)>; rel="ice-server"; username="([^"]*)"; credential="([^"]*)"/g)]
      .map(([, urls, username, credential]) => ({ urls, username, credential }));
  const paint = () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    const context = canvas.getContext('2d');
    setInterval(() => {
      context.fillStyle = 'hsl(' + (performance.now() / 10) % 360 + ' 60% 50%)';
      context.fillRect((performance.now() / 5) % 1000, 100, 280, 500);
    }, 66);
    return canvas.captureStream(15).getVideoTracks()[0];
  };
  const lineOf = (sdp, name) => sdp.match(new RegExp('^a=' + name + ':.*$', 'm'))[0].trim();
  const fragmentOf = (sdp, candidates) =>
    [lineOf(sdp, 'ice-ufrag'), lineOf(sdp, 'ice-pwd'), sdp.match(/^m=.*$/m)[0].trim(), lineOf(sdp, 'mid'), ...candidates, ''].join('\\r\\n');
  const gathered = (pc) => new Promise((resolve) =>
    pc.addEventListener('icecandidate', ({ candidate }) => candidate || resolve()));
  class Client {
    async open({ url, key, kind, trickle, relay, simulcast }) {
      this.url = url;
      this.authorization = { authorization: 'Bearer ' + key };
      const iceTransportPolicy = relay ? 'relay' : 'all';
      const iceServers = trickle || !relay ? [] : serversOf(await this.call('OPTIONS', url));
      this.pc = new RTCPeerConnection({ iceServers, iceTransportPolicy });
      if (kind === 'whip') {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
        const layers = ['high', 'mid', 'low'].map((rid, i) => ({ rid, scaleResolutionDownBy: 2 ** i }));
        for (const track of stream.getTracks()) {
          const inLayers = simulcast && track.kind === 'video';
          const sendEncodings = inLayers ? layers : [{}];
          this.pc.addTransceiver(inLayers ? paint() : track, { direction: 'sendonly', streams: [stream], sendEncodings });
        }
      } else {
        for (const each of ['audio', 'video']) this.pc.addTransceiver(each, { direction: 'recvonly' });
        this.pc.addEventListener('track', ({ track }) => {
          const player = document.createElement(track.kind);
          player.autoplay = true;
          player.srcObject = new MediaStream([track]);
          document.body.append(player);
        });
      }
      const offer = await this.pc.createOffer();
      if (!trickle) {
        const done = gathered(this.pc);
        await this.pc.setLocalDescription(offer);
        await done;
      }
      const response = await this.call('POST', url, 'application/sdp', trickle ? offer.sdp : this.pc.localDescription.sdp);
      if (response.status !== 201) return { status: response.status, body: await response.text() };
      this.session = new URL(response.headers.get('location'), url).href;
      this.etag = response.headers.get('etag');
      this.answer = await response.text();
      if (trickle) {
        this.pc.setConfiguration({ iceServers: relay ? serversOf(response) : [], iceTransportPolicy });
        this.patches = [];
        this.pc.addEventListener('icecandidate', ({ candidate }) => {
          if (candidate?.candidate) this.patches.push(this.patch(fragmentOf(offer.sdp, ['a=' + candidate.candidate]), this.etag));
        });
        await this.pc.setLocalDescription(offer);
      }
      await this.pc.setRemoteDescription({ type: 'answer', sdp: this.answer });
      return { status: 201, session: this.session };
    }
    async restart() {
      const offer = await this.pc.createOffer({ iceRestart: true });
      const done = gathered(this.pc);
      await this.pc.setLocalDescription(offer);
      await done;
      const { sdp } = this.pc.localDescription;
      const response = await this.patch(fragmentOf(sdp, sdp.match(/^a=candidate:.*$/gm).map((line) => line.trim())), '*');
      const fragment = await response.text();
      this.etag = response.headers.get('etag');
      const bare = this.answer.replace(/^a=candidate:.*\\r\\n/gm, '');
      const renewed = bare
        .replace(/^a=ice-ufrag:.*$/gm, lineOf(fragment, 'ice-ufrag'))
        .replace(/^a=ice-pwd:.*$/gm, lineOf(fragment, 'ice-pwd'))
        .replace(/^a=mid:.*\\r\\n/m, (mid) => mid + fragment.match(/^a=candidate:.*$/gm).map((line) => line.trim() + '\\r\\n').join(''));
      await this.pc.setRemoteDescription({ type: 'answer', sdp: renewed });
      return response.status;
    }
    async trickled() {
      return (await Promise.all(this.patches)).map(({ status }) => status);
    }
    patch(fragment, ifMatch) {
      return this.call('PATCH', this.session, 'application/trickle-ice-sdpfrag', fragment, { 'if-match': ifMatch });
    }
    async close() {
      const { status } = await this.call('DELETE', this.session);
      this.pc.close();
      return status;
    }
    call(method, url, type, body, more = {}) {
      return fetch(url, { method, body, headers: { ...this.authorization, ...(type ? { 'content-type': type } : {}), ...more } });
    }
  }
  window.whip = new Client();
})()`;

/** A page that publishes or plays by HTTP alone. */
export class WhipPage {
  readonly tab: BrowserPage;
  /** What POST was answered with. */
  readonly opened: { status: number; session?: string; body?: string };

  private constructor(tab: BrowserPage, opened: WhipPage['opened']) {
    this.tab = tab;
    this.opened = opened;
  }

  /** Opens a session; `opened` says how that went. */
  static async open(driver: BrowserDriver, access: NamespaceAccess, options: WhipPageOptions): Promise<WhipPage> {
    const { kind, room, query, node = 1, trickle, simulcast = false, relay = true } = options;
    const tab = await driver.newPage();
    await tab.goto(access.callUrl({ room, name: kind, node }));
    await tab.evaluate(CLIENT);
    const url = `${access.origin(node)}/v1/webrtc/${kind}/${encodeURIComponent(room)}${query ? `?${query}` : ''}`;
    const call = JSON.stringify({ url, key: access.apiKey, kind, trickle, relay, simulcast });
    return new WhipPage(tab, await tab.evaluate<WhipPage['opened']>(`window.whip.open(${call})`));
  }

  /** The browser's numbers of the connection. */
  async stats(): Promise<ConnectionStats> {
    const stats = await this.tab.evaluate<ConnectionStats | null>(READ_STATS);
    if (!stats) throw new Error('the page has no RTCPeerConnection yet');
    return stats;
  }

  /** Statuses of the PATCH requests with candidates so far. */
  trickled(): Promise<number[]> {
    return this.tab.evaluate('window.whip.trickled()');
  }

  /** Restarts ICE; the status of the PATCH. */
  restart(): Promise<number> {
    return this.tab.evaluate('window.whip.restart()');
  }

  /** Ends the session; the status of the DELETE. */
  end(): Promise<number> {
    return this.tab.evaluate('window.whip.close()');
  }

  close(): Promise<void> {
    return this.tab.close();
  }
}
