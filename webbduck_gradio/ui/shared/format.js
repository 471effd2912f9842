// @ts-check
// Formats numbers, sizes and times for display.

export const number = (value) => value.toLocaleString("en-US");
/** "6M", "120K", "99". */
export const shortCount = (value) => value.toLocaleString("en-US", { notation: "compact" });
/** "1 picture", "12 pictures". */
export const many = (count, one, more = `${one}s`) => `${number(count)} ${count === 1 ? one : more}`;

/** "12 s", "3 min", "2 h 5 min". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** "31 s ago", "4 min ago", or the date after a day. Both times in seconds since 1970. */
export function timeAgo(time, now = Date.now() / 1000) {
  const seconds = now - time;
  return seconds < 86400 ? `${duration(seconds)} ago` : new Date(time * 1000).toLocaleDateString();
}

/** "512 B", "1.5 KiB"; "" for null. */
export function bytes(count) {
  if (count === null || count === undefined) return "";
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count < 10 && unit ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

/** The button that lets a job go on: "Go on", or for an interrupted one "Go on from step 31 of 50". */
export function goOnLabel(job) {
  const at = job.continues_at;
  if (!at || job.status !== "interrupted") return "Go on";
  const count = job.request.num_images ?? 1;
  if (!at.step) return `Go on with image ${at.image + 1} of ${count}`;
  const image = count > 1 ? `image ${at.image + 1}, ` : "";
  return `Go on from ${image}step ${at.step} of ${at.total}`;
}

/** "2025-11-22": the local date `back` days ago. */
export function day(back = 0, date = new Date()) {
  const then = new Date(date);
  then.setDate(then.getDate() - back);
  const two = (value) => String(value).padStart(2, "0");
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`;
}
