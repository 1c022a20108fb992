/**
 * Facts and questions that share no content word. `{answer}` is what is asked for: an invented name or a number; `{other}` an invented name that only makes
 * the sentence different from one document to the next.
 */
export interface Pair {
  needle: string;
  question: string;
  asks: "name" | "number";
}

const name = (needle: string, question: string): Pair => ({ needle, question, asks: "name" });
const number = (needle: string, question: string): Pair => ({ needle, question, asks: "number" });

export const pairs: readonly Pair[] = [
  name("The physician of {other} lives in a village called {answer}.", "Where does the doctor have a home?"),
  name("Captain {other} baptised his new schooner {answer}.", "What was the skipper's ship christened?"),
  name("{other} decided to call her puppy {answer}.", "With which word is the little dog summoned?"),
  name("The bakery of {other} buys all its flour from {answer}.", "Who supplies the bread shop with ground wheat?"),
  name(
    "Every winter the shepherds of {other} drive their flocks to {answer}.",
    "To which place are the sheep brought in the cold season?",
  ),
  name("The murderer of Count {other} was a gardener called {answer}.", "Who killed the nobleman?"),
  name("Old {other} bequeathed the whole estate to {answer}.", "Who inherited the dead man's property?"),
  name(
    "The composer {other} wrote his last opera in {answer}.",
    "In which town did the musician create the final stage work?",
  ),
  name("Lady {other} wed a sailor, a certain {answer}.", "Whom did the noblewoman marry?"),
  name(
    "The thieves of {other} buried the stolen jewels beneath the chapel of {answer}.",
    "Where did the robbers hide their loot?",
  ),
  name(
    "Professor {other} learned to speak {answer} while she was in prison.",
    "Which language did the scholar acquire behind bars?",
  ),
  name(
    "The cheese that {other} sells at the market is made in {answer}.",
    "Where does the dairy product of the stall come from?",
  ),
  name(
    "The judge {other} sent the forger to the jail of {answer}.",
    "In which prison was the counterfeiter locked up?",
  ),
  name("Little {other} is terribly afraid of a horse called {answer}.", "Which animal frightens the child?"),
  name("The cure for the fever of {other} is a herb known as {answer}.", "Which plant heals the illness?"),
  name("The bridge at {other} was designed by the architect {answer}.", "Who drew the plans of the river crossing?"),
  name(
    "The princess of {other} has forgiven nobody except {answer}.",
    "Who is the only person that the king's daughter pardoned?",
  ),
  name("The attorney {other} took the evening train to {answer}.", "To where did the lawyer travel by rail?"),
  name(
    "The spy {other} handed the letters to a waiter, one {answer}.",
    "Who received the documents from the secret agent?",
  ),
  name(
    "The farmer {other} exchanged his tractor for a bull called {answer}.",
    "What did the peasant get when he traded away a vehicle?",
  ),
  name("The monks of {other} brew a dark beer that goes by {answer}.", "What do the friars call their ale?"),
  name(
    "The astronomer {other} spotted a comet that is now known as {answer}.",
    "What is the title of the thing that was discovered in the sky?",
  ),
  name("In {other}, the tailor {answer} sews the finest coats.", "Who makes the best garments?"),
  name("The twins from {other} were raised by an aunt, a certain {answer}.", "Who brought up the two siblings?"),
  name("The painter {other} owes all his money to a banker called {answer}.", "Who lent cash to the artist?"),
  name("The chess champion {other} was beaten only by {answer}.", "Who defeated the best player of the board game?"),
  name(
    "The castaway {other} at last reached the island of {answer}.",
    "On which piece of land did the shipwrecked man arrive?",
  ),
  name(
    "The nurse {other} secretly admires a pilot called {answer}.",
    "With which aviator is the hospital worker in love?",
  ),
  name(
    "The teacher {other} grew up in the harbour town of {answer}.",
    "Where did the schoolmaster spend his childhood?",
  ),
  name("The locksmith {other} taught his craft to {answer}.", "Who was the apprentice of the man who makes keys?"),
  number("The vault of {other} opens with the combination {answer}.", "Which code unlocks the safe?"),
  number(
    "The telescope on mount {other} cost {answer} crowns.",
    "How much money was paid for the stargazing instrument?",
  ),
  number(
    "The regiment of {other} lost {answer} men in the ambush.",
    "How many soldiers died during the surprise attack?",
  ),
  number("The library of {other} owns {answer} volumes.", "How many books are on the shelves?"),
  number(
    "The well behind the abbey of {other} is {answer} inches deep.",
    "How far down does the shaft for water reach near the monastery?",
  ),
  number(
    "The merchant {other} weighs {answer} ounces of saffron every year.",
    "What quantity of the spice does the trader put on the scales?",
  ),
  number("The hotel {other} put the singer into room {answer}.", "In which chamber of the inn did the vocalist stay?"),
  number("The hive of {other} holds {answer} bees.", "How many insects dwell in the keeper's colony?"),
  number(
    "The locomotive of {other} carries {answer} on its boiler.",
    "Which digits are painted upon the steam engine of the railway?",
  ),
  number(
    "The orchard of {other} yields {answer} apples in a good summer.",
    "How much fruit do the trees bear when the season is fine?",
  ),
  number("The parish of {other} counts {answer} souls.", "How many inhabitants does the community have?"),
  number(
    "The prisoner {other} wore {answer} on his sleeve.",
    "Which digits were sewn onto the convict's clothes?",
  ),
  number("The marathon of {other} was finished by {answer} runners.", "How many athletes completed the long race?"),
  number("The mayor {other} was elected with {answer} votes.", "How many ballots did the head of the town win?"),
];
