import { Command, Option } from 'commander';
import { demoCommand } from './commands/demo/demo.ts';
import { devAddNodeCommand } from './commands/dev/add-node.ts';
import { devLogsCommand } from './commands/dev/logs.ts';
import { devStartCommand } from './commands/dev/start.ts';
import { devStatusCommand } from './commands/dev/status.ts';
import { devStopCommand } from './commands/dev/stop.ts';
import { doctorCommand } from './commands/doctor/doctor.ts';
import { envAddCommand } from './commands/env/add.ts';
import { envListCommand } from './commands/env/list.ts';
import { envRemoveCommand } from './commands/env/remove.ts';
import { envUseCommand } from './commands/env/use.ts';
import { inspectorCommand } from './commands/inspector/inspector.ts';
import { leasesCommand } from './commands/leases/leases.ts';
import { monitorReportCommand } from './commands/monitor/report.ts';
import { namespaceCreateCommand } from './commands/namespace/create.ts';
import { namespaceDeleteCommand } from './commands/namespace/delete.ts';
import { namespaceDisableCommand } from './commands/namespace/disable.ts';
import { namespaceEnableCommand } from './commands/namespace/enable.ts';
import { namespaceListCommand } from './commands/namespace/list.ts';
import { namespaceRotateSecretCommand } from './commands/namespace/rotate-secret.ts';
import { namespaceSetCommand } from './commands/namespace/set.ts';
import { namespaceUsageCommand } from './commands/namespace/usage.ts';
import { namespaceWebrtcStatusCommand } from './commands/namespace/webrtc-status.ts';
import { nodeReadmitCommand, nodeRemoveCommand, nodeResumeCommand } from './commands/node/change.ts';
import { nodeDrainCommand } from './commands/node/drain.ts';
import { nodeInitCommand } from './commands/node/init.ts';
import { nodeInviteCommand } from './commands/node/invite.ts';
import { nodeJoinCommand } from './commands/node/join.ts';
import { nodeLeaveCommand } from './commands/node/leave.ts';
import { nodeListCommand } from './commands/node/list.ts';
import { operationsListCommand } from './commands/operations/list.ts';
import { operationsShowCommand } from './commands/operations/show.ts';
import { reconcileCommand } from './commands/reconcile/reconcile.ts';
import { roomCreateCommand } from './commands/room/create.ts';
import { roomDeleteCommand } from './commands/room/delete.ts';
import { roomKickCommand } from './commands/room/kick.ts';
import { roomListCommand } from './commands/room/list.ts';
import { roomMuteCommand } from './commands/room/mute.ts';
import { roomRecordCommand } from './commands/room/record.ts';
import { roomShowCommand } from './commands/room/show.ts';
import { storeBackupCommand } from './commands/store/backup.ts';
import { storeCheckCommand } from './commands/store/check.ts';
import { storeRestoreCommand } from './commands/store/restore.ts';
import { tokenCreateCommand } from './commands/token/create.ts';
import { tokenListCommand } from './commands/token/list.ts';
import { tokenRevokeCommand } from './commands/token/revoke.ts';
import { turnAttachCommand } from './commands/turn/attach.ts';
import { turnCheckCommand } from './commands/turn/check.ts';
import { turnDrainCommand } from './commands/turn/drain.ts';
import { turnExplainPeerCommand } from './commands/turn/explain-peer.ts';
import { turnResumeCommand } from './commands/turn/resume.ts';
import { turnStatusCommand } from './commands/turn/status.ts';
import { collectOption, examples } from './options.ts';

/** The whole command line. Errors are thrown as CommanderError, never printed here. */
export function createProgram(version: string): Command {
  const program = new Command('orama')
    .description('Self-hosted, multi-tenant TURN, SFU and signalling for a few servers joined by WireGuard')
    .version(version, '-v, --version', 'show the version')
    .option('--json', 'print the result as JSON on stdout, and nothing else there')
    .option('--env <name>', 'cluster of ~/.config/orama/environments.yaml to talk to (ORAMA_ENV); see orama env')
    .option('--data-dir <folder>', 'data of the local cluster (ORAMA_DATA_DIR; default ~/.local/state/orama/dev)')
    .addOption(
      new Option(
        '--api <url>',
        'controlplane to talk to instead of the local cluster; repeatable (ORAMA_API)',
      ).argParser(collectOption),
    )
    .option('--cluster-key-file <file>', 'key of that cluster (ORAMA_CLUSTER_KEY_FILE)')
    .addHelpText(
      'after',
      examples(
        'orama demo',
        'orama dev start --detach',
        'orama namespace create myapp',
        'orama namespace enable webrtc --namespace myapp',
      ),
    );

  const dev = new Command('dev').description('a whole cluster on this machine');
  for (const command of [
    devStartCommand(),
    devStatusCommand(),
    devAddNodeCommand(),
    devStopCommand(),
    devLogsCommand(),
  ])
    dev.addCommand(command);

  const namespace = new Command('namespace')
    .alias('ns')
    .description('namespaces (tenants) and what is turned on for them');
  for (const command of [
    namespaceCreateCommand(),
    namespaceListCommand(),
    namespaceDeleteCommand(),
    namespaceEnableCommand(),
    namespaceSetCommand(),
    namespaceRotateSecretCommand(),
    namespaceDisableCommand(),
    namespaceWebrtcStatusCommand(),
    namespaceUsageCommand(),
  ])
    namespace.addCommand(command);

  const node = new Command('node').description('the machines of the cluster: what they do, taking them out and in');
  for (const command of [
    nodeInitCommand(),
    nodeInviteCommand(),
    nodeJoinCommand(),
    nodeLeaveCommand(),
    nodeListCommand(),
    nodeDrainCommand(),
    nodeResumeCommand(),
    nodeRemoveCommand(),
    nodeReadmitCommand(),
  ])
    node.addCommand(command);

  const room = new Command('room').description('rooms of a namespace and who is in them');
  for (const command of [
    roomListCommand(),
    roomShowCommand(),
    roomCreateCommand(),
    roomDeleteCommand(),
    roomKickCommand(),
    roomMuteCommand(),
    roomRecordCommand(),
  ])
    room.addCommand(command);

  const store = new Command('store').description('what the cluster keeps: copies of it, and whether it is sound');
  for (const command of [storeBackupCommand(), storeRestoreCommand(), storeCheckCommand()]) store.addCommand(command);

  const turn = new Command('turn').description(
    'TURN servers: what they do, whether they work, taking them out of service',
  );
  for (const command of [
    turnStatusCommand(),
    turnCheckCommand(),
    turnExplainPeerCommand(),
    turnDrainCommand(),
    turnResumeCommand(),
    turnAttachCommand(),
  ])
    turn.addCommand(command);

  const operations = new Command('operations').description('what was asked of the cluster, and what became of it');
  for (const command of [operationsListCommand(), operationsShowCommand()]) operations.addCommand(command);

  const env = new Command('env').description('the clusters that this machine knows how to reach');
  for (const command of [envAddCommand(), envListCommand(), envUseCommand(), envRemoveCommand()])
    env.addCommand(command);

  const token = new Command('token').description('tokens with which operators reach the cluster from outside');
  for (const command of [tokenCreateCommand(), tokenListCommand(), tokenRevokeCommand()]) token.addCommand(command);

  const monitor = new Command('monitor').description('how the cluster is, asked of everything that runs');
  monitor.addCommand(monitorReportCommand());

  const nouns = [
    demoCommand(),
    dev,
    namespace,
    node,
    room,
    store,
    turn,
    operations,
    monitor,
    env,
    token,
    inspectorCommand(version),
    doctorCommand(version),
    leasesCommand(),
    reconcileCommand(),
  ];
  for (const command of nouns) program.addCommand(command);
  configure(program);
  return program;
}

// Commands added ready-made do not take over their parent's settings.
function configure(command: Command): void {
  command
    .exitOverride()
    .configureOutput({ outputError() {} })
    .configureHelp({ showGlobalOptions: true })
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false);
  for (const child of command.commands) configure(child);
}

/** The words of `argv` that name a command, for example `namespace enable`. */
export function commandPath(program: Command, argv: readonly string[]): string {
  const path = [program.name()];
  let command: Command = program;
  for (const word of argv) {
    const child = command.commands.find((candidate) => candidate.name() === word || candidate.aliases().includes(word));
    if (!child) continue;
    path.push(child.name());
    command = child;
  }
  return path.join(' ');
}
