/**
 * Writes `crds/batchqueues.yaml` from the schema in `operator/api/`. With `--check` it writes nothing and exits with 1 when
 * the file is not what would be written.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { crdYaml } from './crd-yaml.ts';

const target = new URL('../crds/batchqueues.yaml', import.meta.url);

if (!process.argv.includes('--check')) {
  writeFileSync(target, crdYaml());
} else if (readFileSync(target, 'utf8') !== crdYaml()) {
  process.stderr.write(
    'crds/batchqueues.yaml is not what the schema says: run node scripts/generate-crd.ts\n',
  );
  process.exitCode = 1;
}
