import { z } from 'zod';
import { cidrSchema } from '../config/common.ts';
import { endpointSchema, wireguardKeySchema } from '../config/wireguard.ts';
import { ipSchema, ipv6Schema, nodeIdSchema, portSchema } from '../names.ts';

/**
 * Joining a cluster: `POST /v1/enrolment` `enrolRequestSchema` → `enrolAnswerSchema`, over TLS 1.2 with a pre-shared key
 * (ECDHE, RFC 5489 and RFC 7905): its identity is the invitation, the key both sides make from what the invitation says.
 */
export const ENROLMENT_PATH = '/v1/enrolment';

/** How long an invitation is good for unless said, and at most. */
export const INVITATION_TTL_SEC = { default: 3_600, max: 86_400 } as const;

/** `POST /invitations` of the controlplane. */
export const inviteSchema = z.strictObject({
  ttlSec: z.int().min(60).max(INVITATION_TTL_SEC.max).default(INVITATION_TTL_SEC.default),
  requestedBy: z.string().max(128).default('operator'),
});
export type Invite = z.infer<typeof inviteSchema>;

/** Of an invitation; it opens nothing. */
export const invitationIdSchema = z
  .string()
  .regex(/^inv_[0-9a-zA-Z_-]{1,60}$/, 'use the id that "orama node invite --list" shows');

/** The token is shown once, here; nothing keeps it. */
export const invitationSchema = z.object({
  id: invitationIdSchema,
  token: z.string(),
  endpoint: endpointSchema,
  expiresAt: z.string(),
});
export type Invitation = z.infer<typeof invitationSchema>;

/** `GET /invitations`: those that are not over. */
export const invitationViewSchema = z.object({
  id: invitationIdSchema,
  /** The node that the machine joins by. */
  answeredBy: z.string(),
  createdBy: z.string(),
  expiresAt: z.string(),
  /** The node that came with it; null while nobody has. */
  takenBy: z.string().nullable(),
});
export type InvitationView = z.infer<typeof invitationViewSchema>;
export const invitationListSchema = z.object({ invitations: z.array(invitationViewSchema) });

/** Nothing but names from the root on: no `.` or `..`, no control character. */
const pathSchema = z
  .string()
  .max(1_024)
  .regex(/^(?:\/(?!\.{1,2}(?:\/|$))[^/\p{Cc}]+)+$/u, 'use an absolute path without "..", "//" and control characters');
/** More than any configuration names. None of a node whose release knows of none. */
const secretFilesOf = <T extends z.ZodType>(each: T) => z.array(each).max(8).default([]);

/** What a token carries. */
export const joinTokenSchema = z.strictObject({
  clusterId: z.string().min(1).max(128),
  /** Of the invitation. */
  id: z.string().min(1).max(64),
  endpoint: endpointSchema,
  wireguardNetwork: cidrSchema,
  /** Whether the controlplanes keep the peers of the network's interfaces; else each machine has its address there already. */
  keepsPeers: z.boolean(),
  /** Files with secrets that the settings of all nodes name. */
  secretFiles: secretFilesOf(pathSchema),
  /** The pre-shared key in base64url. */
  secret: z.string().min(1).max(128),
  expiresAtMs: z.int().positive(),
});
export type JoinToken = z.infer<typeof joinTokenSchema>;

export const enrolRequestSchema = z.strictObject({
  node: nodeIdSchema,
  region: z.string().min(1).max(64),
  /** Null where the node does not know it: then it is the address the request comes from. */
  publicIp: ipSchema.nullable(),
  publicIp6: ipv6Schema.nullable(),
  /** An interface of which the controlplanes keep the peers, or the address that it has in a network that is there. */
  network: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('wireguard'), publicKey: wireguardKeySchema, port: portSchema }),
    z.strictObject({ kind: z.literal('present'), address: ipSchema }),
  ]),
  /** Those of the token, with the SHA-256 of the secret in hex; null where the file is not there yet. */
  secretFiles: secretFilesOf(
    z.strictObject({
      path: pathSchema,
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .nullable(),
    }),
  ),
});
export type EnrolRequest = z.infer<typeof enrolRequestSchema>;

/** Another node, as an interface of WireGuard has it. */
export const wireguardPeerSchema = z.object({
  node: nodeIdSchema,
  publicKey: wireguardKeySchema,
  endpoint: endpointSchema,
  wireguardIp: ipSchema,
});
export type WireguardPeer = z.infer<typeof wireguardPeerSchema>;

export const enrolAnswerSchema = z.object({
  clusterKey: z.string().min(1),
  wireguardNetwork: cidrSchema,
  wireguardIp: ipSchema,
  publicIp: ipSchema,
  peers: z.array(wireguardPeerSchema),
  /** Addresses of the members in the cluster's network, that of the node that answers first. */
  members: z.array(ipSchema).min(1),
  /** `user:password` of the members' rqlited; null where it asks for none. */
  storeCredentials: z.string().nullable(),
  /** The secrets of the files that the settings name. */
  secretFiles: secretFilesOf(z.object({ path: pathSchema, secret: z.string().min(1).max(4_096) })),
  /** What the configuration of all controlplanes has in common; checked as a part of the whole. */
  shared: z.record(z.string(), z.unknown()),
});
export type EnrolAnswer = z.infer<typeof enrolAnswerSchema>;
