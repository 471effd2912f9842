// @ts-check
// What a day is called above its pictures.
import { day } from "../shared/format.js";

/** "Today", "Yesterday", "Tuesday 24 November", with the year where it is another one; `date`: YYYY-MM-DD. */
export function dayHeading(date, now = new Date()) {
  if (date === day(0, now)) return "Today";
  if (date === day(1, now)) return "Yesterday";
  const [year, month, number] = date.split("-").map(Number);
  const then = new Date(year, month - 1, number);
  const word = (options) => then.toLocaleDateString("en-GB", options);
  const name = `${word({ weekday: "long" })} ${number} ${word({ month: "long" })}`;
  return year === now.getFullYear() ? name : `${name} ${year}`;
}
