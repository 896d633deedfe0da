import { z } from 'zod';
import { readJson } from '../plan/read-json.ts';

/** Lists of manifests, one per platform. */
export const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
] as const;
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;

const platformSchema = z.object({
  os: z.string().max(64),
  architecture: z.string().max(64),
  variant: z.string().max(64).optional(),
});
const indexSchema = z.object({
  manifests: z.array(z.object({ platform: platformSchema.optional().catch(undefined) })),
});
const manifestSchema = z.object({ config: z.object({ digest: z.string() }) });

/** The platforms of an index, sorted; undefined when this is none, or does not say. Attestations have none. */
export function platformsOfIndex(text: string | undefined): readonly string[] | undefined {
  const index = readJson(text, indexSchema);
  const platforms = index?.manifests.flatMap(({ platform }) => platformOf(platform) ?? []) ?? [];
  return platforms.length > 0 ? [...new Set(platforms)].toSorted((a, b) => (a < b ? -1 : 1)) : undefined;
}

/** The digest of the configuration of a single manifest, which tells its platform. */
export function configDigestOf(text: string | undefined): string | undefined {
  return readJson(text, manifestSchema)?.config.digest;
}

/** The platform that an image configuration names. */
export function platformOfConfig(text: string): readonly string[] | undefined {
  const platform = platformOf(readJson(text, platformSchema));
  return platform === undefined ? undefined : [platform];
}

function platformOf(platform: z.output<typeof platformSchema> | undefined): string | undefined {
  if (!platform || platform.os === '' || platform.architecture === '') return undefined;
  const { os, architecture, variant } = platform;
  if (os === 'unknown') return undefined;
  return [os, architecture, variant].filter(Boolean).join('/');
}
