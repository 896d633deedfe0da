import { z } from 'zod';

const claimsSchema = z.object({ iss: z.url() });

/** Who has signed a token, as IAM's OIDC providers are named: without the scheme. Undefined when it does not say so. */
export function issuerOf(token: string): string | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    return claimsSchema.parse(claims).iss.replace(/^https:\/\//, '');
  } catch {
    return undefined;
  }
}
