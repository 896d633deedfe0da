/**
 * The names that users, Jobs and the operator share: API group, labels, annotations, finalizer, field owner.
 * Everything under `batchqueue.io/` on a Job or a pod template belongs to the operator.
 */

export const API_GROUP = 'batchqueue.io';
export const API_VERSION = 'v1alpha1';
export const KIND = 'BatchQueue';

/** Labels on Jobs and their pods, so that `kubectl get jobs -l` and `kubectl logs -l` need no plugin. */
export const LABEL_QUEUE = `${API_GROUP}/queue`;
export const LABEL_REVISION = `${API_GROUP}/revision`;
export const LABEL_ATTEMPT = `${API_GROUP}/attempt`;
export const LABEL_MESSAGE_ID = `${API_GROUP}/message-id`;
/** The ledger of a Job: which messages it holds and how to settle them after any restart (JSON). */
export const ANNOTATION_LEDGER = `${API_GROUP}/ledger`;
/** What the worker reported, written together with the end of the settlement (JSON). */
export const ANNOTATION_RESULT = `${API_GROUP}/result`;
/** On a Job of which no pod could start so far (why, in a word): if it ends like that, it is not the message's fault. */
export const ANNOTATION_NEVER_STARTED = `${API_GROUP}/never-started`;
/** The image the container of the contract runs, for people and for `kubectl get -o`. */
export const ANNOTATION_IMAGE = `${API_GROUP}/image`;
/** On the pod template: the messages file, projected by a downward API volume. */
export const ANNOTATION_MESSAGES = `${API_GROUP}/messages`;

/** Message attributes of a copy in the dead-letter queue, in the order in which they get what room is left. */
export const COPY_REASON = 'BatchQueueReason';
export const COPY_SOURCE_MESSAGE_ID = 'BatchQueueSourceMessageId';
export const COPY_SOURCE_ARN = 'BatchQueueSourceArn';
export const COPY_JOB = 'BatchQueueJob';

/** On a Job: a settlement with the queue is still owed. Whoever drops it by hand gives the message to SQS's timeout. */
export const FINALIZER_SETTLEMENT = `${API_GROUP}/settlement`;

/** Field owner of everything the operator writes. */
export const FIELD_MANAGER = 'batchqueue-operator';

/** Names that a user's pod template may not use, because the operator adds them. */
export const VOLUME_MESSAGES = 'batchqueue-messages';
export const VOLUME_STORAGE = 'batchqueue-storage';
/** Directory of the messages file in every container; the file itself is `messages.json`. */
export const MESSAGES_DIRECTORY = '/var/run/batchqueue';
export const MESSAGES_FILE = 'messages.json';
/** Beside it: the raw body of a message that is too large for it. */
export const BODY_FILE = 'body';

/** On a BatchQueue: with any new value the template becomes a new revision, whose tags are resolved anew. */
export const ANNOTATION_RESOLVE_IMAGES = `${API_GROUP}/resolve-images`;
/** On a revision: what the tags of its template meant when it was made (JSON). */
export const ANNOTATION_IMAGES = `${API_GROUP}/images`;
/** On a pull secret whose ECR tokens the operator keeps fresh. */
export const LABEL_PULL_SECRET = `${API_GROUP}/pull-secret`;
/** Beside it: which tokens are in it, since when, until when (JSON); no token. */
export const ANNOTATION_PULL_TOKENS = `${API_GROUP}/pull-tokens`;
