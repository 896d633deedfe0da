"""A complete worker in Python: counts the lines of a file. Body: {"input": path, "output": path}."""
import json
import os
import signal
import sys
import uuid

DONE, REJECT, RETRY, MISCONFIGURED = 0, 65, 75, 78


class Failed(Exception):
    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code


class Stopped(BaseException):
    """SIGTERM came. Not an Exception, so that nothing takes it for the failure of one message."""


def stop(_signal, _frame):
    raise Stopped("stopped by SIGTERM")


def read_records():
    """The records by position; the one that JOB_COMPLETION_INDEX selects in an Indexed Job."""
    with open(os.environ["BATCHQUEUE_MESSAGES_FILE"], encoding="utf-8") as file:
        records = dict(enumerate(json.load(file)))
    index = os.environ.get("JOB_COMPLETION_INDEX")
    if index is not None:
        records = {int(index): records[int(index)]}
    for record in records.values():
        if "bodyFile" in record:
            with open(record["bodyFile"], encoding="utf-8") as file:
                record["body"] = file.read()
    return records


def inside(root, path):
    if not isinstance(path, str) or "\0" in path:
        raise Failed(REJECT, "body: input and output must be paths")
    real = os.path.realpath(os.path.join(root, path))
    if not real.startswith(root + os.sep):
        raise Failed(REJECT, "a path leaves the storage")
    return real


def publish(path, text):
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    temporary = os.path.join(directory, f".{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    handle = os.open(directory, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def work(root, body):
    try:
        task = json.loads(body)
        source, target = inside(root, task["input"]), inside(root, task["output"])
        with open(source, "rb") as file:
            # By blocks: a line may be longer than the memory.
            count = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(REJECT, f"body: {type(error).__name__}") from None
    except (FileNotFoundError, IsADirectoryError) as error:
        raise Failed(REJECT, f"input: {error.strerror}") from None
    publish(target, f"{count}\n")


def index_list(indexes):
    """0-2,5: the text form of a Job's completedIndexes."""
    runs = []
    for index in sorted(indexes):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def report(succeeded, failures):
    """The result file: what a failing exit code alone cannot say. It must stay below 4096 bytes."""
    result = {
        "succeededIndexes": index_list(succeeded),
        "rejectedIndexes": index_list(index for index, failure in failures.items() if failure.code == REJECT),
    }
    if failures:
        result["reason"] = "; ".join(str(failure) for failure in failures.values())[:1000]
    try:
        with open(os.environ.get("BATCHQUEUE_RESULT_FILE", "/dev/termination-log"), "r+", encoding="utf-8") as log:
            log.truncate()
            json.dump(result, log)
    except OSError as error:
        print("result file not written:", error, file=sys.stderr)


def main():
    signal.signal(signal.SIGTERM, stop)
    succeeded, failures = [], {}
    try:
        root = os.path.realpath(os.environ["BATCHQUEUE_STORAGE_PATH"])
        records = read_records()
    except (KeyError, OSError, ValueError) as error:
        failures[-1] = Failed(MISCONFIGURED, f"set-up: {type(error).__name__}")
        records = {}
    except Stopped as error:
        failures[-1] = Failed(RETRY, str(error))
        records = {}
    try:
        for index, record in records.items():
            try:
                work(root, record["body"])
                succeeded.append(index)
            except Failed as error:
                failures[index] = error
            except Exception as error:  # not understood: worth another attempt
                failures[index] = Failed(RETRY, f"{type(error).__name__}: {error}")
            if index in failures and "SequenceNumber" in record.get("attributes", {}):
                break  # from a FIFO queue: what follows must not overtake it
    except Stopped as error:
        failures[-1] = Failed(RETRY, str(error))
    report(succeeded, failures)
    for failure in failures.values():
        print(failure, file=sys.stderr)
    codes = [failure.code for failure in failures.values()]
    return next((code for code in (MISCONFIGURED, RETRY, REJECT) if code in codes), DONE)


sys.exit(main())
