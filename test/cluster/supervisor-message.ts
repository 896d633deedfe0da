import { z } from 'zod';

/** What the supervisor of a background cluster tells the command that started it. */
export const supervisorMessageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('progress'), line: z.string() }),
  z.object({
    kind: z.literal('ready'),
    name: z.string(),
    kubeconfigPath: z.string(),
    kubectlPath: z.string(),
  }),
  z.object({ kind: z.literal('failed'), reason: z.string() }),
]);
export type SupervisorMessage = z.infer<typeof supervisorMessageSchema>;
