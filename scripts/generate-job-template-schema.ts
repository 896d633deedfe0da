/**
 * Writes `operator/api/job-template.generated.json` from the API of a Kubernetes cluster. Run it when the project moves to
 * another Kubernetes version, then run `generate-crd.ts`:
 *
 *     kubectl get --raw /openapi/v3/apis/batch/v1 | node scripts/generate-job-template-schema.ts
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { jobTemplateSchemaFrom } from './job-template-schema.ts';

const STANDARD_INPUT = 0;
const target = new URL('../operator/api/job-template.generated.json', import.meta.url);

const openapi: unknown = JSON.parse(readFileSync(STANDARD_INPUT, 'utf8'));
writeFileSync(target, `${JSON.stringify(jobTemplateSchemaFrom(openapi))}\n`);
