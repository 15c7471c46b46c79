import { z } from 'zod'
import { isAllowable } from './origins.ts'
import { isNetwork } from './proxies.ts'

export const AllowedOrigins = z.array(
  z.string().refine(isAllowable, { message: 'is no origin: https://app.example.com, without a path; or *, or null' }),
)
export const TrustedProxies = z.array(
  z.string().refine(isNetwork, { message: 'is neither an address nor a network: 10.0.0.7, 10.0.0.0/8, fd00::/8' }),
)
