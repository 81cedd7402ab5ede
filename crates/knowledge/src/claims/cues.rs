//! Words that make a claim, turn it round, weaken it or take it back.

use std::sync::OnceLock;

use crate::lexicon::Lexicon;

/// What a cue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cue {
    /// Turns the meaning of what follows.
    Not,
    /// Speaks for giving the drug.
    For,
    /// Speaks against giving the drug.
    Against,
    /// Brings about.
    Cause,
    /// Keeps from coming.
    Prevent,
    /// Two drugs influence each other.
    Interact,
    /// Takes the whole sentence back.
    Deny,
    /// Ends giving a drug, when it stands at the drug; of other things it says nothing.
    Stop,
    /// Parts two times, or opens a list of examples: no claim reaches over it.
    Apart,
    /// A question under study, not a statement.
    Study,
    /// The body's own substance, not the drug.
    Body,
    /// What happened to one person, not what holds in general.
    Story,
    /// Weakens.
    Hedge,
    /// Speaks for care: neither for nor against.
    Care,
    /// The condition is not there.
    Absent,
    /// Somebody else's condition.
    Family,
    /// Of the past.
    Past,
    /// Not said to be so: a question, a plan, a condition.
    Hypothetical,
    /// What follows is what it is compared with.
    Versus,
    /// Joins parts of a sentence that each say something of their own.
    And,
    /// Starts a part of the sentence that says something else.
    But,
    /// Looks like a negation and is none.
    Plain,
    /// Stands for the drug of the sentence before.
    Pronoun,
    /// Measures blood or tissue, so that an amount is no dose; or an overdose.
    NoDose,
    /// A child, for whom adult doses do not hold.
    Child,
    /// Abnormally high, and the like, of a measurement.
    High,
    /// Abnormally low.
    Low,
    /// Within its range.
    Normal,
}

const CUES: &[(Cue, &str)] = &[
    (
        Cue::Plain,
        "not only|not just|not merely|no doubt|without doubt|not necessarily|not uncommonly|not infrequently|not to mention|no matter|no longer than|gram negative|not surprising|no surprise|without question",
    ),
    (
        Cue::Not,
        "seldom|scarcely|barely|no data|no proof|no justification|no grounds|no basis|no good reason|zero evidence|zero|nobody|no one|not|no|never|cannot|can't|don t|doesn t|isn t|aren t|won t|shouldn t|mustn t|didn t|wasn t|weren t|hasn t|haven t|couldn t|wouldn t|can t|cant|doesnt|dont|isnt|shouldnt|neither|without|lacks|lack|lacking|fails to|failed to|fail to|unable to|nothing|no longer|hardly|by no means|under no circumstances|in no way|little|refuse|absence of|no evidence of|no evidence for|no evidence to support|has no|have no|none|rarely|no reason to|far from",
    ),
    (
        Cue::For,
        "no risk|no added risk|no additional risk|part in|nothing speaks against|nothing against|ameliorates|ameliorate|attenuates|attenuate|lessens|lessen|diminishes|diminish|curbs|curb|quells|calms|corrects|correct|abolishes|aborts|abort|terminates|terminate|halts|halt|eliminates|eliminate|stabilizes|stabilize|normalizes|normalize|answer to|answer for|solution for|solution to|intended for|meant for|designed for|suggested for|call for|calls for|demands|demand|requires|require|needs|deserves|rescues|works wonders|success|utility|usefulness|merit|merits|advantage|advantages|improvement|activity against|active against|remission|prefer|prefers|rational|sensible|wise|logical|proper|correct choice|right choice|sound|comfortable|nothing wrong|all right|alright|unproblematic|uneventful|risk free|without risk|unaffected|reach for|reaches for|standard of care|gold standard|therapy of choice|go to|workhorse|backbone|best|optimal|preferable|favored|favoured|advantageous|advocated|endorsed|warranted|justified|needed|required|necessary|essential|lifesaving|life saving|role for|role|place in|place for|value|indispensable|promising|potent|powerful|reliable|dependable|mitigates|mitigate|suppresses|suppress|cornerstone of|at the same time|simultaneously|alongside|in combination|mix|mixed|co prescribed|trusted|handles|resolves|soothes|tackles|suited|well suited|right drug|good|great|excellent|superb|rely on|turn to|opt for|choose|chosen|selected|select|deployed|welcome|permitted|permissible|allowed|no issue|tolerate|tolerated|tolerates|fit for|makes sense|reassuringly|treat|treats|treated|treating|treatment|treatments|therapy|therapies|used|use|using|uses|indicated|indication|indications|effective|effectively|efficacious|efficacy|effectiveness|works|work|working|helps|help|helpful|helping|relieves|relieve|relieving|relief|alleviates|alleviate|alleviating|eases|ease|manage|manages|managed|management|managing|control|controls|controlling|controlled|cure|cures|cured|curing|curative|heal|heals|first line|second line|drug of choice|agent of choice|treatment of choice|choice|mainstay|cornerstone|recommended|recommend|recommends|prescribed|prescribe|prescribes|prescribing|beneficial|benefit|benefits|improve|improves|improved|improving|reduces symptoms of|reduce symptoms of|approved|licensed|option|respond|responds|response|remedy|useful|appropriate|suitable|preferred|ideal|start|started|starting|give|given|giving|gives|gave|take|takes|taking|taken|took|administer|administered|administering|administration|receive|receives|received|receiving|initiate|initiated|initiating|begin|begun|safe|safely|safety|well tolerated|acceptable|freely|continue|continued|continuing|prescription|reasonable|valuable|successful|successfully|add|added|adding|combine|combined|combining|combination|coadminister|coadministered|co administered|co administer|coadministration|co administration|concurrently|concomitantly|concomitant|together|can be|may be|put on|placed on|do well on|does well on|has a role|have a role|role in|proven|evidence|supports|supported|agent|medication for|medicine for|drug for|drugs for|antidote|reverses|reverse|combats|combat|fights|fight|addresses|targets|good for|counteracts|clears|eradicates|resolves|resolve|offered|offer|employed|utilized|utilised|utilize|ordered|worthwhile|advisable|advised|advise|should receive|harmless|compatible|fine|okay|ok",
    ),
    (
        Cue::Against,
        "hurts|hurt|hinders|hinder|endanger|endangers|jeopardizes|jeopardises|compromises|misused|misuse|malpractice|obsolete|objection|taboo|illogical|irrational|nonsense|disallowed|poison|ruinous|devastating|unwise|foolish|careless|negligent|hazard|hazards|trouble|flawed|unsound|improper|contraproductive|foolhardy|disadvised|inadmissible|cannot be recommended against|rule out treatment|rule out the use|rule out using|rules out treatment|rules out the use|precaution|precautions|does nothing|do nothing|did nothing|nothing to offer|poor choice|bad choice|bad idea|wrong choice|wrong drug|counterproductive|wasteful|waste|fruitless|valueless|unproven|makes worse|make worse|made worse|worse|impairs|damages|damaging|threatens|disastrous|catastrophic|imprudent|reckless|banned|rejected|ill suited|unfit|excludes|excluded|preclude the use|boxed warning|cautioned against|discouraged|discourage|discourages|dissuade|steer clear of|barred|ruled out for|placebo|off label misuse|unjustified|unnecessary|unneeded|irrelevant|powerless|impotent|no match for|inert|lousy|peril|perilous|menace|injurious|noxious|ineligible|ineffectively|fatal|fatally|deadly|stay away from|keep away from|contraindicated|contraindication|contraindications|contra indicated|avoid|avoided|avoiding|avoids|avoidance|harmful|harm|harms|dangerous|danger|hazardous|unsafe|worsen|worsens|worsened|worsening|exacerbate|exacerbates|exacerbated|exacerbating|aggravate|aggravates|aggravating|inappropriate|prohibited|forbidden|warn against|warns against|warned against|recommend against|recommends against|recommended against|advise against|advises against|advised against|caution against|hold off|hesitate|hesitation|ineffective|ineffectual|useless|pointless|futile|worthless|inadvisable|unsuitable|inadvisable|ill advised|unacceptable|off limits|refrain|deleterious|detrimental|toxic|lethal|life threatening|incompatible|precluded|precludes|preclude|ruled out|unhelpful|unwarranted|restriction|restrictions|problem|problems|concern|concerns|risky|restricted|unsupported|inferior to placebo|no better than placebo|wrong|mistake|error|disqualifies",
    ),
    (
        Cue::Cause,
        "cause|causes|caused|causing|causative|induce|induces|induced|inducing|lead to|leads to|leading to|led to|trigger|triggers|triggered|triggering|result in|results in|resulting in|resulted in|provoke|provokes|precipitate|precipitates|precipitated|precipitating|side effect|side effects|adverse effect|adverse effects|adverse reaction|adverse reactions|associated with|linked to|risk of|risks of|increases the risk|increase the risk|raises the risk|brings on|produce|produces|due to|secondary to|responsible for|attributable to|complication of|complications of|gives you|give you|known for causing|elicit|elicits",
    ),
    (
        Cue::Prevent,
        "prevent|prevents|prevented|preventing|prevention|preventive|prophylaxis|prophylactic|prophylactically|protect|protects|protecting|protection|protective|reduces the risk|reduce the risk|reduced the risk|reducing the risk|lowers the risk|lower the risk|decreases the risk|decrease the risk|wards off|reduces the incidence|lowers the incidence",
    ),
    (
        Cue::Interact,
        "interact|interacts|interacting|interaction|interactions|drug drug interaction|potentiates|potentiate|increases levels of|raises levels of|serotonin syndrome",
    ),
    (
        Cue::Deny,
        "myth|myths|false|falsely|untrue|incorrect|incorrectly|not true|debunked|misconception|misinformation|hoax|fake|mistaken|mistakenly|wrongly|erroneous|erroneously|misleading|no truth|not the case|no evidence that|no proof that|no credible evidence|no scientific evidence|no link|no association|no connection|no causal|nothing to support|unfounded|baseless|disproven|refuted|refutes|there is no evidence|does not support the claim|do not support the claim|not supported by|evidence does not|evidence against|retracted|fraudulent|discredited",
    ),
    (
        Cue::Stop,
        "stop|stops|stopped|stopping|discontinue|discontinues|discontinued|discontinuing|discontinuation of|withhold|withheld|withholding|hold|held",
    ),
    (
        Cue::Apart,
        "before|prior to|until|after|since|followed by|once|then|followed|such as|including|for example|especially|e g",
    ),
    (
        Cue::Study,
        "undergoing|to test|investigated|investigating|under investigation|being studied|whether|evaluated|evaluating|to evaluate|to assess|to determine|to examine|unclear|uncertain|aim|aims|objective|objectives|proposed|hypothesis|hypothesized|candidate|candidates|question|examined|compared|unknown|not known|controversial|under study|screened|tested|surveyed|reported",
    ),
    (
        Cue::Body,
        "body|cells|cell|pancreas|gland|glands|hormone|hormones|resistance|resistant|secretion|deficiency|production|sensitivity|shortage|deficient|dependence|mutations|genes|gene|targeted",
    ),
    (
        Cue::Story,
        "he|she|his|her|him|year old|mr|mrs|ms|was|were|had|did not|i|my|has been|have been|presents|presented|complains|reports|states|admitted",
    ),
    (
        Cue::Hedge,
        "may|might|could|possibly|possible|perhaps|probably|suspected|suspect|likely|appears|seems|suggests|suggest|suggested|potentially|potential|considered|consider|reportedly|questionable|uncertain|unclear|presumed|presumably|believed|thought to",
    ),
    (
        Cue::Care,
        "caution|cautiously|carefully|with care|monitor|monitored|monitoring|dose reduction|dose adjustment|reduced dose|lower dose|adjust|adjusted|specialist|weigh|weighed|benefit outweighs|benefits outweigh|only if|unless|individualized|lowest dose",
    ),
    (
        Cue::Absent,
        "denies|denied|deny|no history of|no known history of|no prior history of|negative for|without evidence of|rules out|ruled out|free of|absence of|no sign of|no signs of|no evidence of|no known|without a history of|without|never had|who do not have|in the absence of",
    ),
    (
        Cue::Family,
        "mother|father|brother|sister|aunt|uncle|grandmother|grandfather|grandparent|parent|sibling|cousin|son|daughter|family history|familial history|family history of|maternal|paternal|relatives|husband|wife",
    ),
    (
        Cue::Past,
        "history of|previous|previously|prior|past medical history|formerly|former|years ago|in childhood|remote history|status post|in the past|used to",
    ),
    (
        Cue::Hypothetical,
        "if|whether|in case of|should she|should he|would|return precautions|in the event of|plan to ask|question of|hypothetically|what if|asked whether|asks whether|wonders",
    ),
    (
        Cue::Versus,
        "over|rather than|instead of|compared with|compared to|versus|vs|than|unlike|in place of|in contrast to|superior to|inferior to|as opposed to|switch from|switched from|in lieu of|other than",
    ),
    (Cue::And, "and|or|as well as|along with"),
    (
        Cue::But,
        "but|however|although|though|whereas|while|yet|except|nevertheless|nonetheless|because|so that|therefore|even though|on the other hand|which is why|so|due to the fact",
    ),
    (
        Cue::Pronoun,
        "it is|it should|it can|it may|it must|it has|it does|it will|it treats|it causes|it worsens|it works|it helps|it cures|it was|it also|this drug|the drug|this medication|the medication|this medicine|this agent|the agent|its use|they are|they should|they can|they may|they must|these drugs|these agents|this is|its",
    ),
    (
        Cue::NoDose,
        "overdose|overdosed|overdosing|ingested|ingestion|ingesting|swallowed|toxicity|toxic|poisoning|lethal|fatal|level|levels|concentration|serum|plasma|clearance|trough|peak|cohort|mice|rats|rat|mouse|dogs|in vitro|suicide",
    ),
    (
        Cue::Child,
        "child|children|pediatric|paediatric|infant|infants|neonate|neonates|newborn|newborns|boy|girl|month old|week old|day old|toddler|adolescent|adolescents|kids|kid|baby|babies|preterm|schoolchild",
    ),
    (Cue::High, "high|elevated|raised|increased|hyper|above normal|too high"),
    (Cue::Low, "low|decreased|reduced|below normal|too low"),
    (
        Cue::Normal,
        "normal|within normal limits|unremarkable|in the normal range|within the normal range|within normal range|healthy|reassuring|within reference range|within the reference range",
    ),
];

/// A cue in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CueHit {
    pub start: usize,
    pub end: usize,
    pub cue: Cue,
}

fn lexicon() -> &'static Lexicon {
    static LEXICON: OnceLock<Lexicon> = OnceLock::new();
    LEXICON.get_or_init(|| {
        let phrases =
            CUES.iter().enumerate().flat_map(|(n, (_, words))| words.split('|').map(move |w| (w, n as u32)));
        Lexicon::build(phrases)
    })
}

/// Every cue of a sentence. A phrase that is a cue in two ways (`toxic`) is listed with both.
pub(crate) fn cues(sentence: &str) -> Vec<CueHit> {
    let mut out = Vec::new();
    lexicon().find(sentence, |hit| {
        for payload in hit.payloads {
            if let Some((cue, _)) = CUES.get(*payload as usize) {
                out.push(CueHit { start: hit.start, end: hit.end, cue: *cue });
            }
        }
    });
    out
}
