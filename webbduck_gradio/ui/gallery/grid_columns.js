// @ts-check

/**
 * The number of columns: close to what the wanted cell size gives, adjusted so that runs of `counts` pictures
 * leave few gaps. Sizes in pixels.
 */
export function columnsFor(width, wanted, gap, counts) {
  const usual = Math.max(2, Math.round((width + gap) / (wanted + gap)));
  if (!counts.length) return usual;
  const some = counts.slice(0, 400);
  const pictures = some.reduce((sum, each) => sum + each, 0);
  let best = usual;
  let least = Infinity;
  for (const each of [usual, usual + 1, usual - 1, usual + 2]) {
    if (each < 2) continue;
    let places = 0;
    let at = each;
    for (const count of some) {
      const wide = Math.min(count, each);
      if (at + wide > each) {
        places += each;
        at = 0;
      }
      places += (Math.ceil(count / each) - 1) * each;
      at += wide;
    }
    const waste = places / pictures + 0.12 * Math.abs(each - usual);
    if (waste < least - 0.001) {
      least = waste;
      best = each;
    }
  }
  return best;
}
