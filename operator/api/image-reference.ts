import { type EcrHost, isEcrPublicHost, parseEcrHost } from './ecr-host.ts';

/**
 * Image references as container runtimes read them (the grammar of `distribution/reference`), so that what is resolved
 * here is what a node would pull.
 */
export interface ImageReference {
  /** As it was written. */
  readonly text: string;
  /** Host and port; `docker.io` where the reference names none. */
  readonly host: string;
  /** Without the host; single names of Docker Hub in their long form (`library/python`). */
  readonly repository: string;
  /** Undefined without one. With neither tag nor digest `latest` is meant. */
  readonly tag: string | undefined;
  readonly digest: string | undefined;
  /** Where in ECR it is; undefined for everything else, ECR Public included. */
  readonly ecr: EcrHost | undefined;
  readonly isEcrPublic: boolean;
}

const DOCKER_HUB = 'docker.io';
/** Longest name, host included. */
const MAX_NAME_LENGTH = 255;

const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const HOST = `(?:${LABEL}(?:\\.${LABEL})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?`;
const PATH_COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const TAG = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const DIGEST = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';
const REFERENCE = new RegExp(
  `^(?<name>(?:${HOST}/)?${PATH_COMPONENT}(?:/${PATH_COMPONENT})*)(?::(?<tag>${TAG}))?(?:@(?<digest>${DIGEST}))?$`,
);
const REPOSITORY = new RegExp(`^${PATH_COMPONENT}(?:/${PATH_COMPONENT})*$`);
/** To a runtime a name like this is the id of an image that it has. */
const IMAGE_ID = /^[a-f0-9]{64}$/;

/** Takes an image reference apart, or returns undefined when it is none (the kubelet says `InvalidImageName` then). */
export function parseImageReference(text: string): ImageReference | undefined {
  const { name, tag, digest } = REFERENCE.exec(text)?.groups ?? {};
  if (name === undefined || name.length > MAX_NAME_LENGTH || IMAGE_ID.test(name)) return undefined;
  const { host, repository } = placeOf(name);
  // A host that is none (a name with capitals, for one) leaves a path that is none either.
  if (!REPOSITORY.test(repository)) return undefined;
  return {
    text,
    host,
    repository,
    tag,
    digest,
    ecr: parseEcrHost(host),
    isEcrPublic: isEcrPublicHost(host),
  };
}

/** The same image by its digest alone: what a tag points to later does not matter any more. */
export function pinnedTo({ host, repository }: ImageReference, digest: string): string {
  return `${host}/${repository}@${digest}`;
}

/** The first part of a name is a host only if it looks like one: with a dot, a port or a capital, or `localhost`. */
function placeOf(name: string): { readonly host: string; readonly repository: string } {
  const [first = '', ...rest] = name.split('/');
  const isHost = rest.length > 0 && (/[.:A-Z]/.test(first) || first === 'localhost');
  if (!isHost) return { host: DOCKER_HUB, repository: rest.length > 0 ? name : `library/${name}` };
  const repository = rest.join('/');
  const isHub = first === DOCKER_HUB || first === 'index.docker.io';
  if (!isHub) return { host: first, repository };
  return { host: DOCKER_HUB, repository: rest.length > 1 ? repository : `library/${repository}` };
}
