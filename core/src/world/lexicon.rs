//! The words of the world: nouns, verbs, adjectives and places by topic, names, professions.
//!
//! A list is written most frequent word first; frequency falls off with rank ([`rank_weights`]).
//! No noun stands in two lists, so the first noun of a document tells its topic.

use std::sync::LazyLock;

/// A noun in both numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noun {
    /// Its place among all nouns; pairs of these numbers are what a split holds out.
    pub id: usize,
    /// Singular.
    pub one: String,
    /// Plural.
    pub many: String,
    /// Whether it is a person or an animal.
    pub animate: bool,
}

/// A verb in the two forms of the present tense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verb {
    /// Third person singular: "carries".
    pub one: String,
    /// Plural: "carry".
    pub many: String,
}

/// The words that belong to one topic of a scene, or to one profession.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name: "garden", "nurse".
    pub name: &'static str,
    /// Where it is, with preposition and article: "in the garden".
    pub place: &'static str,
    /// People and animals first, then things; each by frequency.
    pub nouns: Vec<Noun>,
    /// Adjectives.
    pub adjectives: Vec<&'static str>,
    /// Transitive verbs for people.
    pub acts: Vec<Verb>,
    /// Intransitive verbs for people.
    pub does: Vec<Verb>,
    /// Professions only: the gender that the biased split gives it.
    pub stereotype: Option<super::Gender>,
}

/// All words.
#[derive(Debug)]
pub struct Lexicon {
    /// Topics of scenes and notices.
    pub topics: Vec<Topic>,
    /// Professions of biographies.
    pub professions: Vec<Topic>,
    /// Nouns at home in every topic.
    pub common: Vec<Noun>,
    /// What a person has: "mother", "office".
    pub belongings: Vec<Noun>,
    /// Transitive verbs for things.
    pub thing_acts: Vec<Verb>,
    /// Intransitive verbs for things.
    pub thing_does: Vec<Verb>,
    /// Transitive verbs for what people feel about each other.
    pub attitudes: Vec<Verb>,
    /// The verbs of single constructions.
    pub have: Verb,
    /// See [`Lexicon::have`].
    pub say: Verb,
    /// See [`Lexicon::have`].
    pub cost: Verb,
    /// The copula in the present.
    pub is: Verb,
    /// The copula in the past.
    pub was: Verb,
}

/// Adjectives at home everywhere.
pub const COMMON_ADJECTIVES: &[&str] =
    &["old", "small", "big", "new", "beautiful", "plain", "famous", "ugly", "lovely", "ordinary"];
/// Colours.
pub const COLOURS: &[&str] =
    &["red", "blue", "white", "black", "yellow", "brown", "grey", "pink", "purple", "orange"];
/// What people feel; only after a copula.
pub const MOODS: &[&str] = &[
    "happy", "tired", "hungry", "angry", "ready", "ill", "nervous", "curious", "lonely", "cheerful",
];
/// Prepositions of place.
pub const PREPOSITIONS: &[&str] =
    &["near", "behind", "under", "beside", "above", "opposite", "beyond", "beneath"];
/// Adverbs at the end of a clause.
pub const ADVERBS: &[&str] = &[
    "today",
    "again",
    "now",
    "here",
    "quietly",
    "slowly",
    "together",
    "tonight",
    "often",
    "carefully",
];
/// What can open a sentence, before a comma.
pub const OPENERS: &[&str] = &[
    "today",
    "in the morning",
    "sometimes",
    "in the evening",
    "at night",
    "every day",
    "in winter",
    "at noon",
    "in summer",
    "once a week",
];
/// Number words from two.
pub const NUMBERS: &[&str] =
    &["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve"];
/// Towns, all invented.
pub const TOWNS: &[&str] = &[
    "Brenford",
    "Aldmoor",
    "Castine",
    "Velmont",
    "Oakridge",
    "Lindau",
    "Marbury",
    "Torvik",
    "Esterhall",
    "Quinby",
    "Rosendal",
    "Dunhollow",
    "Wexley",
    "Halden",
    "Norwick",
    "Pellworm",
];
/// Women's first names.
pub const WOMEN: &[&str] = &[
    "Anna", "Maria", "Clara", "Emma", "Julia", "Sofia", "Lena", "Nora", "Alice", "Eva", "Martha",
    "Helen", "Irene", "Laura", "Rosa", "Greta", "Judith", "Vera", "Olga", "Paula", "Frieda",
    "Miriam", "Beatrice", "Yvonne",
];
/// Men's first names.
pub const MEN: &[&str] = &[
    "Peter", "Paul", "Thomas", "Daniel", "Martin", "Simon", "Victor", "Oscar", "Albert", "Hugo",
    "Felix", "Walter", "Georg", "Anton", "Bruno", "Robert", "Edgar", "Konrad", "Stefan", "Leo",
    "Rupert", "Xaver", "Benedict", "Ulrich",
];
/// Surnames.
pub const SURNAMES: &[&str] = &[
    "Keller", "Brandt", "Winter", "Lang", "Moreau", "Fischer", "Hale", "Novak", "Sommer", "Weiss",
    "Larsen", "Petrov", "Garrick", "Vogel", "Ashdown", "Berger", "Holt", "Marlow", "Krause",
    "Linden", "Thorne", "Ekman", "Zeller", "Osborne", "Falk", "Reiter", "Quill", "Hartmann",
    "Jansen", "Dupont",
];

const COMMON_PEOPLE: &str = "man/men woman/women child/children friend dog cat horse stranger";
const COMMON_THINGS: &str = "house door window box wall table chair stone lamp picture letter road \
    room hill bell corner";
const BELONGINGS_PEOPLE: &str = "sister brother mother father cousin daughter son aunt uncle";
const BELONGINGS_THINGS: &str = "office car idea coat shoe bracelet garage bicycle umbrella";
const THING_ACTS: &str = "touch cover face hide support surround block";
const THING_DOES: &str = "stand lie shine fall remain move vanish";
const ATTITUDES: &str = "know trust admire thank help like envy";

/// name | place | people | things | adjectives | transitive verbs | intransitive verbs
const TOPICS: &[[&str; 7]] = &[
    [
        "garden",
        "in the garden",
        "gardener neighbour bird bee frog snail",
        "rose pot hedge leaf/leaves tulip spade seed branch bush fence vine daisy",
        "green wild fresh sweet muddy leafy",
        "water plant cut pick",
        "rest dig wander",
    ],
    [
        "kitchen",
        "in the kitchen",
        "chef baker waiter guest cook mouse/mice",
        "pan knife/knives spoon oven plate loaf/loaves cake bowl kettle onion recipe dish",
        "hot salty crisp greasy tasty burnt",
        "stir bake taste wash",
        "eat whistle hurry",
    ],
    [
        "harbour",
        "at the harbour",
        "sailor captain fisherman/fishermen gull seal diver",
        "boat ship net rope anchor wave sail crab lighthouse pier barrel oar",
        "wet deep calm wooden stormy coastal",
        "pull paint mend load",
        "swim row shout",
    ],
    [
        "school",
        "at the school",
        "teacher pupil tutor librarian classmate janitor",
        "book lesson desk story pencil map page question poem essay ruler blackboard",
        "long clever difficult useful boring printed",
        "read copy study explain",
        "learn listen whisper",
    ],
    [
        "market",
        "at the market",
        "merchant buyer seller customer thief/thieves trader",
        "coin basket apple stall bag carpet jar cheese lemon melon scarf/scarves bargain",
        "cheap ripe costly noisy crowded fine",
        "buy sell weigh carry",
        "shout argue walk",
    ],
    [
        "forest",
        "in the forest",
        "hunter fox wolf/wolves owl bear ranger",
        "tree path river log root cave nest berry pine stream mushroom fern",
        "dark tall wild silent hollow mossy",
        "follow hunt watch find",
        "run sleep climb",
    ],
    [
        "castle",
        "in the castle",
        "king queen knight guard prince princess",
        "tower sword crown gate throne banner shield candle dungeon cellar goblet tapestry",
        "royal golden heavy ancient grand proud",
        "defend serve fear praise",
        "ride march bow",
    ],
    [
        "concert",
        "at the concert",
        "singer dancer drummer pianist composer violinist",
        "song drum violin piano guitar melody stage trumpet flute chord curtain ballad",
        "loud soft slow gentle bright sad",
        "play hear tune love",
        "sing dance practise",
    ],
    [
        "workshop",
        "in the workshop",
        "carpenter builder smith mechanic apprentice potter",
        "tool hammer wheel nail saw engine ladder bench screw bolt drawer hinge",
        "sharp broken dusty solid rusty sturdy",
        "repair build polish carry",
        "work rest whistle",
    ],
    [
        "station",
        "at the station",
        "passenger driver traveller conductor porter inspector",
        "train ticket platform clock seat suitcase signal bridge carriage tunnel whistle/whistles \
         timetable",
        "late fast early busy modern delayed",
        "miss board check carry",
        "wait arrive leave",
    ],
    [
        "farm",
        "on the farm",
        "farmer cow shepherd goat goose/geese ox/oxen",
        "barn field cart egg bucket stable tractor orchard sack plough harvest haystack",
        "sunny strong fat fertile muddy quiet",
        "feed milk chase lead",
        "work sleep wander",
    ],
    [
        "observatory",
        "at the observatory",
        "astronomer scientist pilot explorer inventor robot",
        "star planet cloud rocket telescope comet lens orbit crater galaxy satellite beam",
        "distant cold bright huge faint strange",
        "observe measure study discover",
        "dream fly return",
    ],
];

/// As [`TOPICS`], the place being where the profession works.
const PROFESSIONS: &[[&str; 7]] = &[
    [
        "nurse",
        "on the ward",
        "patient visitor surgeon",
        "bandage fever wound blanket injection syringe",
        "gentle pale weak",
        "treat wash",
        "rest",
    ],
    [
        "doctor",
        "at the hospital",
        "invalid specialist midwife/midwives",
        "symptom bone illness infection remedy scalpel",
        "painful serious rare",
        "examine heal",
        "hurry",
    ],
    [
        "lawyer",
        "at the court",
        "client witness judge",
        "contract case verdict trial statute lawsuit",
        "legal guilty strict",
        "defend advise",
        "argue",
    ],
    [
        "professor",
        "at the university",
        "undergraduate lecturer dean",
        "theory seminar lecture exam thesis/theses faculty",
        "wise academic abstract",
        "teach study",
        "think",
    ],
    [
        "engineer",
        "at the factory",
        "worker foreman/foremen technician",
        "motor machine pump circuit turbine valve",
        "electric precise complex",
        "design test",
        "work",
    ],
    [
        "painter",
        "in the studio",
        "model collector sculptor",
        "portrait brush landscape canvas mural easel",
        "colourful bold delicate",
        "paint sketch",
        "dream",
    ],
    [
        "journalist",
        "at the newspaper",
        "reader editor reporter",
        "article headline interview report column deadline",
        "recent urgent popular",
        "write edit",
        "travel",
    ],
    [
        "dentist",
        "at the surgery",
        "sufferer hygienist receptionist",
        "tooth/teeth filling gum brace drill cavity",
        "clean straight loose",
        "pull check",
        "smile",
    ],
    [
        "accountant",
        "at the bank",
        "banker investor cashier",
        "budget tax loan ledger invoice receipt",
        "monthly exact annual",
        "audit count",
        "worry",
    ],
    [
        "architect",
        "at the bureau",
        "planner surveyor contractor",
        "plan roof building staircase facade blueprint",
        "spacious elegant tall",
        "draw measure",
        "travel",
    ],
    [
        "plumber",
        "at the depot",
        "tenant landlord helper",
        "pipe tap drain boiler sink leak",
        "wet rusty blocked",
        "fix install",
        "whistle",
    ],
    [
        "poet",
        "at the library",
        "critic novelist admirer",
        "verse sonnet rhyme stanza metaphor couplet",
        "tender gloomy lyrical",
        "write recite",
        "wander",
    ],
];

/// The words of the world.
pub static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::new);

impl Lexicon {
    fn new() -> Self {
        let mut next = 0;
        let common = nouns(COMMON_PEOPLE, COMMON_THINGS, &mut next);
        let belongings = nouns(BELONGINGS_PEOPLE, BELONGINGS_THINGS, &mut next);
        let mut topics = |table: &'static [[&'static str; 7]]| -> Vec<Topic> {
            table.iter().map(|row| topic(row, &mut next)).collect()
        };
        let scenes = topics(TOPICS);
        let mut professions = topics(PROFESSIONS);
        for (i, profession) in professions.iter_mut().enumerate() {
            profession.stereotype =
                Some(if i % 2 == 0 { super::Gender::Feminine } else { super::Gender::Masculine });
        }
        Self {
            topics: scenes,
            professions,
            common,
            belongings,
            thing_acts: verbs(THING_ACTS),
            thing_does: verbs(THING_DOES),
            attitudes: verbs(ATTITUDES),
            have: Verb { one: "has".into(), many: "have".into() },
            say: verb("say"),
            cost: verb("cost"),
            is: Verb { one: "is".into(), many: "are".into() },
            was: Verb { one: "was".into(), many: "were".into() },
        }
    }

    /// Every verb, in a fixed order, some more than once.
    pub fn verbs(&self) -> impl Iterator<Item = &Verb> {
        let topics = self.topics.iter().chain(&self.professions);
        let of_topics = topics.flat_map(|t| t.acts.iter().chain(&t.does));
        let of_things = self.thing_acts.iter().chain(&self.thing_does);
        let rest = [&self.have, &self.say, &self.cost, &self.is, &self.was];
        of_topics.chain(of_things).chain(&self.attitudes).chain(rest)
    }

    /// Every noun, in a fixed order.
    pub fn nouns(&self) -> impl Iterator<Item = &Noun> {
        let topics = self.topics.iter().chain(&self.professions);
        self.common.iter().chain(&self.belongings).chain(topics.flat_map(|t| &t.nouns))
    }
}

/// Weights that fall off with rank, `1 / (rank + 2)`, rank from 0.
pub fn rank_weights(len: usize) -> impl Iterator<Item = f64> {
    (0..len).map(|rank| 1.0 / (rank as f64 + 2.0))
}

fn topic(row: &[&'static str; 7], next: &mut usize) -> Topic {
    let [name, place, people, things, adjectives, acts, does] = *row;
    Topic {
        name,
        place,
        nouns: nouns(people, things, next),
        adjectives: adjectives.split_whitespace().collect(),
        acts: verbs(acts),
        does: verbs(does),
        stereotype: None,
    }
}

fn nouns(people: &str, things: &str, next: &mut usize) -> Vec<Noun> {
    let people = people.split_whitespace().map(|w| (w, true));
    let things = things.split_whitespace().map(|w| (w, false));
    people
        .chain(things)
        .map(|(word, animate)| {
            let (one, many) = match word.split_once('/') {
                Some((one, many)) => (one.to_owned(), many.to_owned()),
                None => (word.to_owned(), with_s(word)),
            };
            *next += 1;
            Noun { id: *next - 1, one, many, animate }
        })
        .collect()
}

fn verbs(words: &str) -> Vec<Verb> {
    words.split_whitespace().map(verb).collect()
}

fn verb(word: &str) -> Verb {
    Verb { one: with_s(word), many: word.to_owned() }
}

/// The regular ending: "box" → "boxes", "daisy" → "daisies", "rose" → "roses".
fn with_s(word: &str) -> String {
    let before_last = word.chars().rev().nth(1).unwrap_or(' ');
    if word.ends_with('y') && !"aeiou".contains(before_last) {
        return format!("{}ies", &word[..word.len() - 1]);
    }
    let hisses = ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end));
    if hisses { format!("{word}es") } else { format!("{word}s") }
}
