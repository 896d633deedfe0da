import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

const REPOSITORY = path.join(import.meta.dirname, '../../..');
const PAGES = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/**/*.md', { cwd: REPOSITORY })];

/** In code quotes, with a folder of the repository in front: `operator/plan/lease.ts`, `crds/examples`. */
const QUOTED = /`((?:operator|worker|test|deploy|crds|scripts|docs)\/[\w./-]+)`/g;
const LINKED = /\]\((?!https?:)([^)#]+)[^)]*\)/g;

/** Short names that stand in a row after a path: `job.ts`, `job-name.ts`. */
const SHORT = /`([a-z-]+\.ts)`/g;

describe('files that documents name exist', () => {
  test.each(PAGES)('in %s', (page) => {
    const text = readFileSync(path.join(REPOSITORY, page), 'utf8');
    const quoted = [...text.matchAll(QUOTED)].map(([, file = '']) => path.join(REPOSITORY, file));
    const linked = [...text.matchAll(LINKED)].map(([, file = '']) =>
      path.join(REPOSITORY, path.dirname(page), file),
    );
    const short = [...text.matchAll(SHORT)].map(
      ([, file = '']) =>
        globSync(`{operator,worker,test}/**/${file}`, { cwd: REPOSITORY })[0] ?? `missing/${file}`,
    );
    expect(
      [...quoted, ...linked, ...short.map((file) => path.join(REPOSITORY, file))].filter(
        (file) => !existsSync(file),
      ),
    ).toEqual([]);
  });

  test('and there are pages that name files', () => {
    const all = PAGES.map((page) => readFileSync(path.join(REPOSITORY, page), 'utf8')).join('\n');
    expect([...all.matchAll(QUOTED)].length).toBeGreaterThan(20);
  });
});
