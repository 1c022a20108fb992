/** Works on all heads in order, two at a time: while one's results are used or the next one's input is made, the device has the other. */
export async function oneAhead(heads: number, work: (head: number) => Promise<void> | null): Promise<void> {
  let before: Promise<void> | null = null;
  for (let head = 0; head < heads; head++) {
    const now = work(head);
    await before;
    before = now;
  }
  await before;
}
