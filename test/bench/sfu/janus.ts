import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ServerProcess } from '../server-process.ts';
import { SERVER_ADDRESS } from './bed.ts';
import type { Engine } from './engine.ts';

const WEBSOCKET_PORT = 8188;
const SETTLE_MS = 1_000;

/** Debian's Janus with its videoroom. @param eventLoops 0 for its default, a thread for each client's connection */
export function janus(eventLoops: number): Engine {
  return {
    name: eventLoops === 0 ? 'janus' : `janus, ${eventLoops} loop`,
    description: `${version()}, videoroom, ${eventLoops === 0 ? 'default (a thread a connection)' : `event_loops = ${eventLoops}`}`,
    async start(placed, directory) {
      const configs = join(directory, `janus-${eventLoops}`);
      mkdirSync(configs, { recursive: true });
      const file = (name: string, text: string) => writeFileSync(join(configs, `janus.${name}`), text);
      file(
        'jcfg',
        `general: { configs_folder = "${configs}" debug_level = 4
${eventLoops === 0 ? '' : `  event_loops = ${eventLoops}`}
}
media: { rtp_port_range = "20000-29999" }
nat: { ice_enforce_list = "${SERVER_ADDRESS}" }
plugins: { disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so" }
transports: { disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so" }
`,
      );
      file('plugin.videoroom.jcfg', 'general: { }\n');
      file(
        'transport.websockets.jcfg',
        `general: { ws = true ws_port = ${WEBSOCKET_PORT} ws_ip = "${SERVER_ADDRESS}" wss = false }\nadmin: { admin_ws = false }\n`,
      );
      const server = await ServerProcess.start(directory, [...placed, 'janus', '-F', configs]);
      await server.until((log) => /WebSockets server started|Janus WebSockets transport plugin initialized/i.test(log));
      return {
        pid: server.pid,
        target: { kind: 'janus', url: `ws://${SERVER_ADDRESS}:${WEBSOCKET_PORT}` },
        settled: () => wait(SETTLE_MS),
        stop: () => server.stop(),
      };
    },
  };
}

function version(): string {
  // It knows the option by printing the version and then refusing it.
  const { stdout } = spawnSync('janus', ['--version'], { encoding: 'utf8' });
  return `Janus ${/\((\d+\.\d+\.\d+)\)/.exec(stdout)?.[1] ?? 'of an unknown version'}`;
}
