import { z } from 'zod'
import { isAllowable } from './origins.ts'
import { isNetwork } from './proxies.ts'

export const AllowedOrigins = z.array(
  z.string().refine(isAllowable, {
    message: 'must be an origin such as https://app.example.com, without a path, or * or null',
  }),
)
export const TrustedProxies = z.array(
  z
    .string()
    .refine(isNetwork, { message: 'must be an address or a network, such as 10.0.0.7, 10.0.0.0/8 or fd00::/8' }),
)
