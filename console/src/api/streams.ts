/** Windows of a browser that have a stream: it has six connections for all of them, and the pages need some. */

const STREAMS_MAX = 3;

/**
 * Take one of the streams that windows may have until `signal` ends; false where other windows have all of them.
 *
 * Browsers have locks between windows for HTTPS and the machine itself alone; elsewhere each window has its stream.
 */
export async function takeStream(signal: AbortSignal): Promise<boolean> {
  if (!navigator.locks) return true;
  for (let number = 0; number < STREAMS_MAX; number += 1) {
    if (await holds(`stream-${number}`, signal)) return true;
  }
  return false;
}

function holds(name: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (lock) => {
        resolve(lock !== null && !signal.aborted);
        if (lock === null || signal.aborted) return;
        return new Promise<void>((release) => signal.addEventListener("abort", () => release(), { once: true }));
      })
      .catch(reject);
  });
}
