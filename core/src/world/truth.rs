//! What is true of a document: who does what, in which number and gender, and where it shows.

use super::words;
use serde::{Deserialize, Serialize};

/// A stretch of a text in bytes; the text is ASCII, so also in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The words of this span.
    pub fn of<'a>(&self, text: &'a str) -> &'a str {
        &text[self.start..self.end]
    }
}

/// Grammatical number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// One.
    Singular,
    /// More.
    Plural,
}

/// Grammatical gender of a person's pronouns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gender {
    /// she, her.
    Feminine,
    /// he, his, him.
    Masculine,
}

/// What stands between a verb and the noun it agrees with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgreementKind {
    /// Nothing: "the parents are".
    Simple,
    /// A prepositional phrase: "the parents near the car are".
    AcrossPrepositional,
    /// A relative clause: "the parents that the driver sees are".
    AcrossRelative,
    /// The verb is that of a relative clause: "the car that the parents see".
    WithinRelative,
    /// Two subjects: "the parent and the driver are".
    Coordinated,
    /// The subject is a pronoun or a name: "they are".
    Pronoun,
}

/// A verb whose form follows from the number of its subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The verb.
    pub verb: Span,
    /// The form the verb would have in the other number.
    pub wrong: String,
    /// The noun (or pronoun, or first of two nouns) that decides.
    pub subject: Span,
    /// Its number.
    pub number: Number,
    /// What stands between.
    pub kind: AgreementKind,
    /// Relative clauses around the verb: 0 for a main clause.
    pub depth: u8,
    /// Whether a noun of the other number stands between subject and verb; for the verb within a
    /// relative clause, whether the noun that the clause is about has the other number.
    pub attractor: bool,
}

/// A pronoun for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pronoun {
    /// The pronoun.
    pub span: Span,
    /// Its gender.
    pub gender: Gender,
    /// The same pronoun in the other gender, written as it would stand here.
    pub wrong: String,
    /// Where the person was named last.
    pub antecedent: Span,
}

/// A clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// Its words.
    pub span: Span,
    /// Which kind of clause.
    pub kind: ClauseKind,
    /// Relative clauses around it, itself included: 0 for a main clause.
    pub depth: u8,
}

/// Which kind of clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClauseKind {
    /// A main clause.
    Main,
    /// "that sees the car".
    SubjectRelative,
    /// "that the driver sees".
    ObjectRelative,
    /// What is quoted.
    Quoted,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// What happens at a place; it has a topic.
    Scene,
    /// A short biography; it has a person.
    Biography,
    /// A notice of sale; it has a topic.
    Notice,
}

/// The person of a biography.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// First name; it decides the gender.
    pub first_name: String,
    /// Surname.
    pub surname: String,
    /// Gender of the pronouns.
    pub gender: Gender,
    /// Profession.
    pub profession: String,
}

/// All that is true of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// What the document is.
    pub kind: DocumentKind,
    /// Its topic (scenes and notices).
    pub topic: Option<String>,
    /// Its person (biographies).
    pub person: Option<Person>,
    /// −ln of the probability with which the grammar writes exactly this text, its end included.
    pub nats: f64,
    /// Verbs whose form follows from a number, in the order of the text but for nesting.
    pub agreements: Vec<Agreement>,
    /// Pronouns for the person.
    pub pronouns: Vec<Pronoun>,
    /// Clauses.
    pub clauses: Vec<Clause>,
    /// Words that the document's topic or profession made likely.
    pub topical: Vec<Span>,
}

/// A variable of the world that the model has to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variable {
    /// Number of the subject, before its verb.
    Number,
    /// Gender of the person, before a pronoun.
    Gender,
    /// Profession, before a word that follows from it.
    Profession,
    /// Topic, before a word that follows from it.
    Topic,
    /// Depth of the clause, before its verb.
    Depth,
    /// Kind of the word that was just read.
    Word,
}

impl Variable {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Number, Self::Gender, Self::Profession, Self::Topic, Self::Depth, Self::Word];

    /// Its name on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Number => "subject number",
            Self::Gender => "gender",
            Self::Profession => "profession",
            Self::Topic => "topic",
            Self::Depth => "clause depth",
            Self::Word => "kind of word",
        }
    }
}

/// A place where the model must carry a variable in order to go on well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Bytes of text read so far: the variable is needed by the token that ends here.
    pub at: usize,
    /// The variable.
    pub variable: Variable,
    /// Its value.
    pub value: String,
}

impl Truth {
    /// The places where the model must carry something, by place. The first sentence's marks of
    /// topic and profession are left out: nothing has told them yet.
    pub fn marks(&self, text: &str) -> Vec<Mark> {
        let mut marks = Vec::new();
        let mut push = |span: Span, variable, value: &str| {
            if span.start > 0 {
                // A word is written with the space before it, so the token before ends there.
                let at = text[..span.start].trim_end_matches(' ').len();
                marks.push(Mark { at, variable, value: value.to_owned() });
            }
        };
        for a in &self.agreements {
            if a.kind != AgreementKind::Pronoun {
                let number = if a.number == Number::Plural { "plural" } else { "singular" };
                push(a.verb, Variable::Number, number);
                push(a.verb, Variable::Depth, &a.depth.to_string());
            }
        }
        for p in &self.pronouns {
            let gender = if p.gender == Gender::Feminine { "feminine" } else { "masculine" };
            push(p.span, Variable::Gender, gender);
        }
        let first_stop = text.find('.').unwrap_or(text.len());
        for span in self.topical.iter().filter(|s| s.start > first_stop) {
            if let Some(person) = &self.person {
                push(*span, Variable::Profession, &person.profession);
            } else if let Some(topic) = &self.topic {
                push(*span, Variable::Topic, topic);
            }
        }
        marks.extend(words::kinds(text).into_iter().map(|(span, kind)| Mark {
            at: span.end,
            variable: Variable::Word,
            value: kind.to_owned(),
        }));
        marks.sort_by_key(|m| (m.at, m.variable));
        marks
    }
}
