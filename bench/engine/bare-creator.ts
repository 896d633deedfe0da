/** The bare client: it sends Jobs that the operator has sent, byte by byte, over connections like the operator's. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { createTransport, loadKubeConfig } from '../../operator/kube/transport.ts';
import { answerQuestions } from './questions.ts';

const jobsSchema = z.array(z.object({ path: z.string(), body: z.string() }));
const createSchema = z.object({ jobsPath: z.string(), inFlight: z.number() });

const [kubeconfigPath = ''] = process.argv.slice(2);
const transport = createTransport(loadKubeConfig({ kubeconfigPath }));

answerQuestions({
  /** Creates all Jobs of the file; how many milliseconds that took. */
  create: async (argument) => {
    const { jobsPath, inFlight } = createSchema.parse(argument);
    const jobs = jobsSchema.parse(JSON.parse(await readFile(jobsPath, 'utf8')));
    const startedAtMs = performance.now();
    const work = async () => {
      for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) await create(job);
    };
    await Promise.all(Array.from({ length: inFlight }, work));
    return performance.now() - startedAtMs;
  },
});

async function create({ path, body }: { path: string; body: string }): Promise<void> {
  const response = await transport.send({
    method: 'POST',
    path,
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body,
    signal: AbortSignal.timeout(15_000),
  });
  const text = await response.body.text();
  if (response.status !== 201) throw new Error(`${response.status} ${text}`);
}
