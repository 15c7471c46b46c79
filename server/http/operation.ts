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

/** What the HTTP side needs of the hub. */
export interface HttpContext {
  /** Maximum body in bytes: the same as for a WebSocket message. */
  readonly frameBytes: number
  readonly version: string
  /** Of the WebSocket endpoint. */
  readonly path: string
  readonly metrics: { readonly contentType: string; scrape(): Promise<string> }
  readonly publisher: Pick<HttpPublisher, 'publish'>
  /** Whether it accepts connections. */
  accepts(): boolean
  /** Why nothing can be kept until it is started again. */
  storageFailure(): string | undefined
  isCutOff(): boolean
  /** Where errors that are not refusals are reported. */
  readonly unexpected: UnexpectedErrors
  /** Rejects with `unauthenticated`, `token_expired`, `auth_unavailable`. */
  authenticate(credentials: Credentials): Promise<Access>
  /** Runs a method of the operators', where it is permitted. */
  call(method: string, params: unknown, caller: Caller): Promise<unknown>
  /**
   * Opens a connection that is no WebSocket: it is given frames, and writes its answers to the socket. Throws
   * `shutting_down`, `hub_full`, `address_limit`.
   */
  open(socket: EngineSocket, address: string, access: Access): SocketHandlers
}

/** A request that has been read as far as its operation says. */
export interface HttpExchange {
  readonly hub: HttpContext
  readonly request: Request
  readonly peer: HttpPeer | undefined
  /** Whose it is. */
  readonly access: Access
  /** From path, query and JSON body. */
  readonly params: Record<string, unknown>
}

/**
 * One entry of the table from which both the routes and the OpenAPI document are made.
 */
export interface Operation {
  readonly id: string
  readonly summary: string
  readonly method: 'get' | 'post' | 'delete'
  /** Below `/v1`, as OpenAPI writes it. */
  readonly path: string
  /** What it takes. Names that stand in the path are read there, the others where `rest` says. */
  readonly params: z.ZodType
  /** `body`: a JSON object that may be missing. */
  readonly rest: 'query' | 'body'
  /** Headers that it heeds, by name. */
  readonly headers?: Readonly<Record<string, string>>
  /** A body that it reads by itself, by content type. */
  readonly content?: Readonly<Record<string, z.ZodType>>
  readonly answers: readonly Answer[]
  /** Beside those that every request may meet. */
  readonly refusals: readonly ErrorCode[]
  run(exchange: HttpExchange): Promise<Response>
}

export interface Answer {
  readonly status: number
  readonly description: string
  readonly type: string
  readonly schema: z.ZodType
}

/** What a request may meet that opens a connection. */
export const OPENING: readonly ErrorCode[] = ['shutting_down', 'hub_full', 'address_limit', 'rate_limited']

/** What a request may meet that changes what is kept. */
export const STORING: readonly ErrorCode[] = ['storage_full', 'storage_failed', 'outcome_unknown']

export function json(status: number, value: unknown): Response {
  return jsonText(status, encodeJson(value))
}

export function jsonText(status: number, text: string): Response {
  return new Response(text, { status, headers: { 'content-type': 'application/json' } })
}

/** What an operation is beside the method that it calls. */
interface MethodOperation extends Pick<Operation, 'id' | 'summary' | 'path'> {
  readonly refusals?: readonly ErrorCode[]
  readonly status?: number
}

/** An operation that is a method of the operators': what it takes is the method's own. */
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

/** For an operation that takes nothing but what stands in its path. */
export function pathParams<const Names extends string[]>(...names: Names): z.ZodType {
  return z.strictObject(Object.fromEntries(names.map((name) => [name, z.string()])))
}
