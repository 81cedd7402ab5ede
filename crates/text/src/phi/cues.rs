//! The words that the rules and the tagger look at, by what they announce. Written for this project.

use super::lexicon::Role;

/// Words in lower case by role; a word has one role.
pub(super) const CUES: [(Role, &str); 31] = [
    (Role::Title, "dr dres mr mrs ms miss mx prof professor doctor sir madam rev sr sra herr frau mme nurse"),
    (Role::Credential, "md rn np pa phd lpn dnp facp facs mbbs cnp msn dds dpm crna pharmd ma lcsw"),
    (
        Role::Month,
        "january february march april may june july august september october november december jan feb \
         mar apr jun jul aug sep sept oct nov dec",
    ),
    (
        Role::Weekday,
        "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thurs fri sat \
         sun",
    ),
    (
        Role::Facility,
        "hospital clinic hosp infirmary hospice sanatorium polyclinic dispensary ctr center centre \
         healthcare rehabilitation rehab dialysis pharmacy nursing manor memorial general va \
         presbyterian methodist sanitarium healthcenter university college institute medical med ward \
         school shelter",
    ),
    (
        Role::Street,
        "street st avenue ave road rd boulevard blvd lane ln drive court ct place pl square sq terrace \
         parkway pkwy highway hwy circle cir trail way crescent close alley plaza loop rue via calle \
         strasse straat gata gatan vej utca ulica ul avenida rua",
    ),
    (
        Role::EponymHead,
        "disease diseases syndrome syndromes sign reflex score scale criteria index test phenomenon \
         lymphoma sarcoma tumor tumour esophagus oesophagus palsy chorea thyroiditis anemia anaemia \
         ulcer fracture maneuver manoeuvre procedure operation catheter tube forceps stain agar law \
         angina contracture dementia classification staging node nodes nodule nodules body bodies cells \
         cell bacillus equation formula fever virus arthropathy neuropathy atrophy dystrophy deformity \
         triad respiration breathing murmur line lines pouch duct gland glands hernia position lamp \
         technique method assay regimen trial study guideline guidelines algorithm questionnaire \
         inventory nephropathy purpura vasculitis granuloma encephalopathy carcinoma paralysis \
         pneumonia kidney lung heart protocol model rule factor antigen antibody antibodies effect \
         principle curve plot ratio nail knee lesion lesions spots point aphasia apraxia ataxia \
         epilepsy leukemia malformation anomaly tetralogy",
    ),
    (
        Role::Medical,
        "parkinson parkinsons alzheimer alzheimers foley apgar glasgow hodgkin hodgkins crohn crohns \
         cushing cushings addison barrett hashimoto raynaud sjogren sjögren marfan klinefelter kawasaki \
         huntington babinski chaddock hoffman hoffmann romberg kernig brudzinski mcburney rovsing \
         trousseau chvostek homans lachman phalen tinel gleason framingham mcisaac centor duke \
         mallampati ranson apache braden barthel karnofsky ecog epworth mcgill wong snellen ishihara \
         landolt rorschach stroop epstein barr lyme ebola zika lassa marburg coxsackie norwalk whipple \
         billroth roux nissen kocher halsted trendelenburg lithotomy swan ganz holter doppler schilling \
         coombs gram ziehl neelsen giemsa papanicolaou pap rinne dix hallpike epley heimlich valsalva \
         kussmaul cheyne stokes biot korsakoff wernicke guillain barré barre charcot tooth friedreich \
         duchenne werdnig creutzfeldt jakob pick lewy binswanger tay sachs gaucher niemann fabry pompe \
         hurler wolff brugada eisenmenger ebstein fallot fontan norwood kartagener goodpasture wegener \
         strauss takayasu behcet behçet henoch schonlein schönlein lyell nikolsky auspitz koebner bowen \
         paget merkel kaposi burkitt ewing wilms waldenström waldenstrom sézary sezary zollinger \
         ellison mallory weiss boerhaave schatzki zenker meckel hirschsprung peutz jeghers crigler \
         najjar dubin rotor budd chiari caroli virchow cullen grey osler janeway bouchard heberden \
         dupuytren peyronie colles galeazzi monteggia salter legg calve perthes osgood schlatter \
         scheuermann sprengel klippel feil dandy sturge kasabach merritt rendu ehlers danlos bartter \
         gitelman liddle conn sheehan kallmann prader willi angelman digeorge von willebrand soulier \
         glanzmann fanconi diamond blackfan hageman leiden ludwig bezold quincke horner adie argyll \
         robertson gunn bitot kayser fleischer koplik forchheimer schober faber lasegue lasègue \
         ortolani galant moro tylenol advil motrin lipitor zoloft prozac xarelto eliquis plavix \
         coumadin lasix norvasc zantac viagra cialis humira enbrel remicade keytruda herceptin esmarch \
         bovie ancef vicryl prolene monocryl webril xeroform adaptic kling kerlix coban betadine \
         penrose kerrison weitlaner deaver balfour metzenbaum debakey babcock allis hemovac bookwalter \
         penfield gelfoam surgicel floseal tisseel dermabond ethibond mersilene marcaine xylocaine \
         versed demerol dilaudid percocet vicodin ativan xanax valium klonopin haldol levaquin zosyn \
         unasyn rocephin keflex cipro flagyl bactrim augmentin lovenox nexium protonix prilosec pepcid \
         zofran reglan phenergan compazine decadron toradol ambien lexapro celexa paxil effexor \
         cymbalta wellbutrin seroquel zyprexa risperdal abilify neurontin lyrica depakote keppra \
         dilantin tegretol topamax lamictal toprol lopressor coreg diovan cozaar zestril prinivil \
         altace vasotec crestor zocor pravachol tricor januvia lantus novolog humalog singulair advair \
         spiriva combivent flonase claritin allegra zyrtec benadryl lupron casodex pitocin vioxx \
         celebrex mobic ultram nubain ketalar diprivan propofol anectine zemuron robinul malecot bier \
         hasson veress cooke keflin kenalog duramorph fentanyl synthroid gastrografin omnipaque \
         cystografin levophed pepto maalox colace miralax dulcolax senokot lomotil imodium proscar \
         flomax hytrin ditropan detrol vesicare actos avandia glucophage amaryl glucotrol byetta \
         victoza ozempic farxiga jardiance invokana entresto brilinta effient pradaxa savaysa repatha \
         praluent xolair dupixent stelara cosentyx taltz otezla xeljanz opdivo yervoy tecentriq imfinzi \
         avastin erbitux rituxan gleevec tarceva ibrance revlimid velcade",
    ),
    (
        Role::Large,
        "alabama alaska arizona arkansas california colorado connecticut delaware florida hawaii idaho \
         illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan \
         minnesota mississippi missouri montana nebraska nevada ohio oklahoma oregon pennsylvania \
         tennessee texas utah vermont virginia wisconsin wyoming africa asia europe america australia \
         antarctica us usa uk england scotland wales ireland france germany italy spain portugal \
         netherlands belgium switzerland austria sweden norway denmark finland iceland poland hungary \
         romania bulgaria greece turkey russia ukraine china japan korea india pakistan bangladesh \
         nepal thailand vietnam cambodia laos malaysia indonesia philippines taiwan egypt nigeria kenya \
         ethiopia ghana uganda tanzania morocco algeria tunisia brazil argentina chile peru colombia \
         venezuela ecuador bolivia mexico guatemala honduras nicaragua panama cuba haiti jamaica canada \
         iran iraq syria lebanon israel jordan arabia yemen afghanistan american african asian european \
         hispanic caucasian latino latina chinese japanese korean indian mexican canadian british \
         french german italian spanish english russian caribbean mediterranean ashkenazi jewish",
    ),
    (
        Role::StateCode,
        "al ak az ar ca co fl ga ia il ks ky mi mn mo mt nc nd ne nh nj nm nv ny ok ri sc sd tn tx ut \
         vt wa wi wv wy dc",
    ),
    (Role::Particle, "van de la del della di da dos das du le der den ter ten bin ibn el saint y"),
    (
        Role::Kin,
        "mother father sister brother son daughter wife husband spouse partner aunt uncle niece nephew \
         grandmother grandfather cousin mom dad caregiver guardian parent parents neighbor friend \
         family",
    ),
    (
        Role::NameCue,
        "named name patient pt patients client called attending physician surgeon provider pcp \
         referring referred dictated signed cc attn re dear sincerely resident consultant therapist per \
         by author witness contact employer",
    ),
    (
        Role::PlaceCue,
        "at from in lives living resides residing transferred hospitalized hospitalised address \
         residence city county near office facility downtown our to moved",
    ),
    (
        Role::DateCue,
        "on since until dob born birth admitted admission discharged discharge dated date seen visited \
         visit presented evaluated consulted began scheduled performed underwent operated after before \
         through doa dod dd dt dv transcribed last next during expires expired died reviewed started \
         onset",
    ),
    (
        Role::PhoneCue,
        "phone telephone tel mobile call reached pager beeper ext extension callback voicemail ph reach \
         phoned text hotline",
    ),
    (Role::FaxCue, "fax faxed facsimile"),
    (Role::RecordCue, "mrn chart record records medrec emr ehr"),
    (
        Role::PlanCue,
        "insurance insurer policy member subscriber beneficiary hicn mbi medicaid medicare plan hmo ppo \
         payer coverage enrollee aetna cigna humana",
    ),
    (Role::AccountCue, "account acct card iban invoice billing guarantor bank credit debit routing"),
    (
        Role::LicenceCue,
        "license licence npi dea certificate passport licensed credential registration drivers driver",
    ),
    (Role::VehicleCue, "vin plate vehicle car tag"),
    (Role::DeviceCue, "serial sn device implant udi imei mac pacemaker lot"),
    (Role::SsnCue, "ssn social"),
    (Role::BiometricCue, "fingerprint fingerprints voiceprint biometric retina iris handprint faceprint"),
    (
        Role::IdCue,
        "id identifier case accession ref reference encounter specimen order claim file badge employee \
         identification subject sample confirmation ticket pin barcode username login",
    ),
    (Role::Filler, "number no num nr is was of as code the # with has"),
    (
        Role::Unit,
        "mg mcg g kg ml l dl mmhg mm cm m hg hz bpm mmol meq iu units unit u ng pg pack packs days day \
         weeks week months month years year hours hour hrs hr minutes min mins seconds sec tablet \
         tablets tabs tab capsule capsules drops puffs times percent liters liter kcal breaths beats yo \
         yr yrs degrees copies doses dose oz lb lbs feet inches joules gy cgy mbq points sessions \
         cycles episodes",
    ),
    (
        Role::Finding,
        "bp strength grade graded vision acuity pulses reflexes pressure pulse rr temp temperature \
         stage gcs bmi hba1c a1c inr creatinine hemoglobin wbc platelet count type class phase level \
         rate dilution gravida para spo2 pain psa egfr sodium potassium glucose titer ef",
    ),
    (Role::ZipCue, "zip zipcode postcode postal"),
    (Role::AgeCue, "age aged ages"),
];
