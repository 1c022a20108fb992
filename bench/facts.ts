/** Facts of different kinds that no book has, each in a sentence of its own, with a question, the first words of its answer, and what is right. */
export interface Fact {
  sentence: string;
  question: string;
  opening: string;
  value: string;
}

export const FACTS: readonly Fact[] = [
  [
    "The access code of the northern archive is 48213.",
    "What is the access code of the northern archive?",
    "The access code of the northern archive is",
    "48213",
  ],
  [
    "The lighthouse of Port Ellery is painted bright yellow.",
    "What colour is the lighthouse of Port Ellery painted?",
    "The lighthouse of Port Ellery is painted",
    "yellow",
  ],
  [
    "Professor Ines Calloway keeps a parrot named Bosco.",
    "What is the name of Professor Ines Calloway's parrot?",
    "The name of Professor Ines Calloway's parrot is",
    "Bosco",
  ],
  [
    "The bridge at Tarnwick was built by the engineer Oskar Lindqvist.",
    "Who built the bridge at Tarnwick?",
    "The bridge at Tarnwick was built by the engineer",
    "Lindqvist",
  ],
  [
    "The secret ingredient of Marta's soup is dried lavender.",
    "What is the secret ingredient of Marta's soup?",
    "The secret ingredient of Marta's soup is dried",
    "lavender",
  ],
  [
    "The museum of clocks closes every Thursday.",
    "On which day does the museum of clocks close?",
    "The museum of clocks closes every",
    "Thursday",
  ],
  [
    "The train to Velmora leaves from platform seventeen.",
    "From which platform does the train to Velmora leave?",
    "The train to Velmora leaves from platform",
    "seventeen",
  ],
  [
    "The capital of the island of Quenby is called Saltmere.",
    "What is the capital of the island of Quenby called?",
    "The capital of the island of Quenby is called",
    "Saltmere",
  ],
  [
    "The violin of Henrik Aasen was made in 1743.",
    "In which year was the violin of Henrik Aasen made?",
    "The violin of Henrik Aasen was made in",
    "1743",
  ],
  [
    "The password of the observatory's telescope is bluebird.",
    "What is the password of the observatory's telescope?",
    "The password of the observatory's telescope is",
    "bluebird",
  ],
  [
    "The annual rent of the mill in Dunloe is 320 crowns.",
    "What is the annual rent of the mill in Dunloe?",
    "The annual rent of the mill in Dunloe is",
    "320",
  ],
  [
    "Doctor Emeka Obi was born in the city of Enugu.",
    "In which city was Doctor Emeka Obi born?",
    "Doctor Emeka Obi was born in the city of",
    "Enugu",
  ],
  [
    "The key to the cellar hangs behind the portrait of the duchess.",
    "Where does the key to the cellar hang?",
    "The key to the cellar hangs behind the portrait of the",
    "duchess",
  ],
  [
    "The winner of the regatta of Kessel was a boat named Marigold.",
    "What was the name of the boat that won the regatta of Kessel?",
    "The winner of the regatta of Kessel was a boat named",
    "Marigold",
  ],
  [
    "The mountain pass of Urdal is closed until April.",
    "Until when is the mountain pass of Urdal closed?",
    "The mountain pass of Urdal is closed until",
    "April",
  ],
  [
    "The baker of Hollin street uses flour from Brittany.",
    "Where does the flour of the baker of Hollin street come from?",
    "The baker of Hollin street uses flour from",
    "Brittany",
  ],
].map(([sentence, question, opening, value]) => ({ sentence, question, opening, value }) as Fact);
