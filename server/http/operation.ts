import { z } from 'zod'
import type { ErrorCode } from '../../shared/errors.ts'
import { encodeJson } from '../../shared/raw-json.ts'
import { paramsOf } from '../admin/methods.ts'
import type { Caller } from '../admin/operator-log.ts'
import type { Access } from '../auth/access.ts'
import type { Credentials } from '../auth/identity.ts'
import type { EngineSocket, HttpPeer, SocketHandlers } from '../engine/engine.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import type { HttpPublisher } from './publisher.ts'

/** What the HTTP side needs from the hub. */
export interface HttpContext {
  /** Maximum size of a body in bytes: the same as for a WebSocket message. */
  readonly frameBytes: number
  readonly version: string
  /** Path of the WebSocket endpoint. */
  readonly path: string
  readonly metrics: { readonly contentType: string; scrape(): Promise<string> }
  readonly publisher: Pick<HttpPublisher, 'publish'>
  /** Whether the hub accepts connections. */
  accepts(): boolean
  /** Why the hub cannot store anything until it is restarted. */
  storageFailure(): string | undefined
  isCutOff(): boolean
  /** Why the hub cannot use the broker now. */
  brokerCutOff(): string | undefined
  /** Where errors that are not refusals are reported. */
  readonly unexpected: UnexpectedErrors
  /** Rejects with `unauthenticated`, `token_expired`, `auth_unavailable`. */
  authenticate(credentials: Credentials): Promise<Access>
  /** Runs an operator method, if it is permitted. */
  call(method: string, params: unknown, caller: Caller): Promise<unknown>
  /**
   * Opens a connection that is not a WebSocket: it gets frames, and writes its answers to the socket. Throws `shutting_down`,
   * `hub_full`, `address_limit`.
   */
  open(socket: EngineSocket, address: string, access: Access): SocketHandlers
}

/** A request, parsed according to its operation. */
export interface HttpExchange {
  readonly hub: HttpContext
  readonly request: Request
  readonly peer: HttpPeer | undefined
  /** Permissions of the client. */
  readonly access: Access
  /** From path, query and JSON body. */
  readonly params: Record<string, unknown>
}

/**
 * One entry of the table that both the routes and the OpenAPI document are created from.
 */
export interface Operation {
  readonly id: string
  readonly summary: string
  readonly method: 'get' | 'post' | 'delete'
  /** Below `/v1`, in OpenAPI syntax. */
  readonly path: string
  /** The parameters. Those named in the path are read from there, others according to `rest`. */
  readonly params: z.ZodType
  /** `body`: an optional JSON object. */
  readonly rest: 'query' | 'body'
  /** Request headers that the operation uses, by name. */
  readonly headers?: Readonly<Record<string, string>>
  /** A body that the operation reads itself, by content type. */
  readonly content?: Readonly<Record<string, z.ZodType>>
  readonly answers: readonly Answer[]
  /** Errors in addition to those that every request can get. */
  readonly refusals: readonly ErrorCode[]
  run(exchange: HttpExchange): Promise<Response>
}

export interface Answer {
  readonly status: number
  readonly description: string
  readonly type: string
  readonly schema: z.ZodType
}

/** Errors of requests that open a connection. */
export const OPENING: readonly ErrorCode[] = ['shutting_down', 'hub_full', 'address_limit', 'rate_limited']

/** Errors of requests that change stored data. */
export const STORING: readonly ErrorCode[] = ['storage_full', 'storage_failed', 'outcome_unknown']

export function json(status: number, value: unknown): Response {
  return jsonText(status, encodeJson(value))
}

export function jsonText(status: number, text: string): Response {
  return new Response(text, { status, headers: { 'content-type': 'application/json' } })
}

/** What an operation adds to the method that it calls. */
interface MethodOperation extends Pick<Operation, 'id' | 'summary' | 'path'> {
  readonly refusals?: readonly ErrorCode[]
  readonly status?: number
}

/** An operation that calls an operator method, with the method's own parameters. */
export function call(
  method: Operation['method'],
  name: string,
  schema: z.ZodType,
  { refusals = [], status = 200, ...rest }: MethodOperation,
): Operation {
  return {
    ...rest,
    method,
    params: paramsOf(name),
    rest: method === 'post' ? 'body' : 'query',
    answers: [{ status, description: 'Done', type: 'application/json', schema }],
    refusals,
    async run(exchange) {
      return json(status, await exchange.hub.call(name, exchange.params, callerOf(exchange)))
    },
  }
}

export function callerOf({ access, peer }: HttpExchange): Caller {
  return { access, address: peer?.remoteAddress ?? '' }
}

/** For an operation that has only path parameters. */
export function pathParams<const Names extends string[]>(...names: Names): z.ZodType {
  return z.strictObject(Object.fromEntries(names.map((name) => [name, z.string()])))
}
