//! Words of the generator, written for this project: ordinary names and towns, and the words of medicine that look
//! like names and must stay.

pub const GIVEN: &str = "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard \
Susan Joseph Jessica Thomas Sarah Charles Karen Christopher Lisa Daniel Nancy Matthew Betty Anthony Margaret Mark Sandra \
Donald Ashley Steven Kimberly Paul Emily Andrew Donna Joshua Michelle Kenneth Carol Kevin Amanda Brian Dorothy George \
Melissa Edward Deborah Ronald Stephanie Timothy Rebecca Jason Sharon Jeffrey Laura Ryan Cynthia Jacob Kathleen Gary Amy \
Nicholas Angela Eric Shirley Jonathan Anna Stephen Brenda Larry Pamela Justin Emma Scott Nicole Brandon Helen Benjamin \
Samantha Samuel Katherine Gregory Christine Frank Debra Alexander Rachel Raymond Carolyn Patrick Janet Jack Catherine \
Dennis Maria Jerry Heather Tyler Diane Aaron Ruth Jose Julie Adam Olivia Nathan Joyce Henry Virginia Grace Rose Hope May \
June April Will Bill Bob Tom Sam Joe Jane Jim Kate Sue Ann Anne Alice Peter Claudia Eduardo Fatima Wei Priya Ahmed";

pub const FAMILY: &str = "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez \
Gonzalez Wilson Anderson Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis \
Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell \
Mitchell Carter Roberts Gomez Phillips Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris Morales Murphy \
Cook Rogers Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward Richardson Watson Brooks \
Chavez Wood James Bennett Gray Mendoza Ruiz Hughes Price Alvarez Castillo Sanders Patel Myers Long Ross Foster Jimenez \
Wang Doe Winters Rush Love Day Chase Case Banks Fields Best Sharp Short Rich Strong Small Bell Graves Wells Parkinson";

pub const CITIES: &str = "Boston|Chicago|Dallas|Houston|Denver|Seattle|Portland|Austin|Phoenix|Atlanta|Miami|Cleveland|\
Los Angeles|San Francisco|San Diego|New York|New York City|NYC|LA|Brooklyn|the Bronx|Queens|Philadelphia|Baltimore|\
Pittsburgh|Detroit|Minneapolis|St. Louis|Kansas City|New Orleans|Nashville|Memphis|Charlotte|Raleigh|Tampa|Orlando|\
Sacramento|Oakland|San Jose|Salt Lake City|Las Vegas|Albuquerque|Tucson|Cincinnati|Columbus|Indianapolis|Milwaukee|\
Buffalo|Rochester|Albany|Hartford|Providence|Springfield|Newark|Richmond|Norfolk|Birmingham|Louisville|Omaha|Des Moines|\
Boise|Spokane|Honolulu|Anchorage|Santa Clara|Palo Alto|Westchester|Queens County|Cook County|Long Island|Staten Island";

pub const SAINTS: &str = "Mary Joseph John Luke Francis Vincent Jude Peter Anthony Elizabeth Thomas Anne Agnes Michael \
Catherine Clare David Barnabas Alphonsus Rita";

pub const STATES: &str = "AL AZ CA CO CT FL GA IA IL IN KS KY MA MD MI MN MO NC NE NH NJ NM NV NY OH OR PA SC TN TX UT \
VA VT WA WI WV";

pub const MONTHS: &str =
    "January February March April May June July August September October November December";

pub const DRUGS: &str = "lisinopril metformin amlodipine warfarin aspirin apixaban rivaroxaban heparin enoxaparin \
atorvastatin simvastatin rosuvastatin metoprolol carvedilol atenolol losartan valsartan furosemide spironolactone \
hydrochlorothiazide digoxin amiodarone levothyroxine methimazole prednisone dexamethasone hydrocortisone insulin \
glipizide empagliflozin dapagliflozin semaglutide liraglutide omeprazole pantoprazole famotidine ondansetron amoxicillin \
azithromycin ceftriaxone vancomycin doxycycline ciprofloxacin levofloxacin clindamycin metronidazole fluconazole \
acyclovir oseltamivir remdesivir sertraline fluoxetine citalopram escitalopram bupropion venlafaxine quetiapine \
olanzapine risperidone haloperidol lithium valproate lamotrigine levetiracetam carbamazepine phenytoin gabapentin \
pregabalin morphine oxycodone hydrocodone fentanyl naloxone methadone buprenorphine ibuprofen naproxen acetaminophen \
celecoxib albuterol tiotropium fluticasone montelukast tamsulosin finasteride sildenafil methotrexate \
hydroxychloroquine adalimumab etanercept rituximab infliximab pembrolizumab trastuzumab tamoxifen anastrozole cisplatin \
carboplatin paclitaxel allopurinol colchicine alendronate tylenol advil lipitor zoloft prozac xarelto eliquis plavix \
coumadin lasix norvasc zantac viagra cialis humira keytruda jardiance ozempic synthroid glucophage";

pub const DISEASES: &str = "hypertension|type 2 diabetes|atrial fibrillation|asthma|COPD|heart failure|CHF|CKD|\
rheumatoid arthritis|gout|migraine|epilepsy|multiple sclerosis|ALS|stroke|TIA|pneumonia|UTI|sepsis|cellulitis|DVT|\
pulmonary embolism|GERD|peptic ulcer|cirrhosis|hepatitis C|pancreatitis|appendicitis|breast cancer|lung cancer|prostate \
cancer|melanoma|lymphoma|leukemia|glioblastoma|depression|anxiety|bipolar disorder|schizophrenia|PTSD|dementia|\
osteoporosis|osteoarthritis|psoriasis|eczema|lupus|hypothyroidism|hyperthyroidism|anemia|thrombocytopenia|HIV|COVID-19|\
influenza|tuberculosis|MI|CAD|HTN|HLD|T2DM|AF|RA|SLE|IBS|IBD|OSA|BPH|AKI|ESRD|NSTEMI|STEMI|DKA";

pub const EPONYMS: &str = "Parkinson Alzheimer Foley Graves Apgar Glasgow Hodgkin Crohn Cushing Addison Barrett Hashimoto \
Raynaud Sjogren Marfan Turner Klinefelter Down Kawasaki Wilson Huntington Babinski Chaddock Hoffmann Romberg Murphy \
Kernig Brudzinski McBurney Trousseau Chvostek Homans Lachman Phalen Tinel Gleason Framingham Wells McIsaac Duke Mallampati \
Ranson Braden Norton Morse Barthel Karnofsky Borg Beck Hamilton McGill Wong Snellen Bell Epstein Barr Lyme Whipple Nissen \
Kocher Trendelenburg Swan Holter Doppler Coombs Gram Weber Rinne Epley Heimlich Valsalva Kussmaul Korsakoff Wernicke \
Guillain Charcot Friedreich Duchenne Becker Creutzfeldt Lewy Gaucher Fabry Brugada Eisenmenger Goodpasture Behcet Stevens \
Paget Merkel Kaposi Burkitt Ewing Wilms Zollinger Boerhaave Zenker Meckel Hirschsprung Gardner Lynch Gilbert Budd Chiari \
Virchow Osler Janeway Dupuytren Peyronie Colles Salter Baker Ehlers Conn Kallmann Willebrand Fanconi Ludwig Horner Argyll \
Child Pugh Ann Arbor Bristol Mayo Norwalk Los Angeles Dukes Stanford Boston Philadelphia Edinburgh Rome Tokyo Milan \
Montreal Pittsburgh Cincinnati Jefferson Lee Young Hill Ross Simpson Reid Allen Thomas Johnson Smith";

pub const HEADS: &str = "disease|syndrome|sign|reflex|score|scale|criteria|index|test|lymphoma|sarcoma|tumor|esophagus|\
palsy|chorea|thyroiditis|ulcer|fracture|maneuver|procedure|operation|catheter|tube|angina|contracture|dementia|\
classification|nodes|nodule|bodies|fever|deformity|triad|respiration|hernia|position|disorder|phenomenon|questionnaire|\
formula|equation|Risk Score|Coma Scale|Heart Study|Depression Inventory|Pain Index|diverticulum|encephalopathy|monitor";

pub const ORGANISATIONS: &str = "American Heart Association|American Diabetes Association|ADA|AHA|ACC|NICE|FDA|CDC|WHO|\
USPSTF|KDIGO|GOLD|IDSA|NCCN|ASCO|ESC|AAN|AAP|ACOG|GINA|AAOS|ACR|EULAR|NIH|World Health Organization|Mayo Clinic|\
Cochrane|Joint National Committee|American College of Cardiology|National Cancer Institute|European Medicines Agency|\
Centers for Disease Control|Cleveland Clinic|Johns Hopkins|New England Journal of Medicine|The Lancet|JAMA|UpToDate|BMJ|\
National Institutes of Health|Mass General|UCSF|Harvard|Stanford";

pub const TRIALS: &str = "ARISTOTLE ALLHAT SPRINT GUSTO RE-LY ROCKET-AF DAPA-HF EMPA-REG PARADIGM-HF ACCORD UKPDS JUPITER \
FOURIER CREDENCE KEYNOTE-024 CheckMate-067 HOPE PROVE-IT RALES MERIT-HF ISIS-2 COURAGE Framingham DASH";

pub const PEOPLES: &str = "African American|Asian|Hispanic|Caucasian|white|Black|Native American|Latino|Chinese|Indian|\
Mexican|Ashkenazi Jewish|Mediterranean|Japanese|Korean|Vietnamese|Caribbean|European|Irish|Russian|Haitian";

pub const LARGE: &str = "California|Texas|Florida|Ohio|Brazil|Africa|Mexico|India|China|the United States|the US|Canada|\
Southeast Asia|South America|Kenya|Nigeria|Arizona|New England|the southern US|Puerto Rico|Haiti|Thailand|Spain|Germany|\
the Ohio River Valley|New Mexico|Connecticut|Wisconsin|Minnesota|Massachusetts|the Caribbean|Egypt|Pakistan|Vietnam|Japan";

pub const FACILITIES: &str = "Hospital|Hospital|Clinic|Clinic|Medical Center|Med Ctr|Med Center|Health Center|Medical Centre|Hosp.|\
Med. Center|Health|Healthcare|Infirmary|Medical Group|Cancer Center|Heart Center|Rehabilitation|Dialysis|\
Nursing Home|Senior Center|Surgery Center|Urgent Care|Hospice|Family Practice|Institute|Oncology Center";

/// Headings of notes, which stand in capitals where names could.
pub const HEADINGS: &str = "PROCEDURE IN DETAIL|DESCRIPTION OF PROCEDURE|DETAILS OF THE OPERATION|OPERATIVE PROCEDURE IN DETAIL|\
FAMILY HISTORY|SOCIAL HISTORY|PAST MEDICAL HISTORY|PAST SURGICAL HISTORY|HISTORY OF PRESENT ILLNESS|CHIEF COMPLAINT|\
REVIEW OF SYSTEMS|PHYSICAL EXAMINATION|VITAL SIGNS|ALLERGIES|MEDICATIONS|CURRENT MEDICATIONS|ASSESSMENT AND PLAN|ASSESSMENT|\
PLAN|IMPRESSION|FINDINGS|INDICATIONS FOR PROCEDURE|PREOPERATIVE DIAGNOSIS|POSTOPERATIVE DIAGNOSIS|ANESTHESIA|COMPLICATIONS|\
ESTIMATED BLOOD LOSS|SPECIMENS|DISPOSITION|CONDITION ON DISCHARGE|DISCHARGE INSTRUCTIONS|HOSPITAL COURSE|BRIEF SUMMARY|\
EMERGENCY DEPARTMENT COURSE|LABORATORY DATA|DIAGNOSTIC STUDIES|MENTAL STATUS EXAM|TOURNIQUET TIME|CONSULTATIONS|TITLE OF OPERATION|\
SUMMARY OF PROCEDURE|SUBJECTIVE|OBJECTIVE|HEENT|NECK|LUNGS|HEART|ABDOMEN|EXTREMITIES|NEUROLOGIC|SKIN|GENITOURINARY|Family History|\
Social History|Past Medical History|Chief Complaint|Review of Systems|Physical Exam|Vital Signs|Hospital Course|Assessment|Plan|\
Impression|Findings|Allergies|Medications|Home Medications|Reason for Visit|History of Present Illness|General Appearance|Cardiac|\
Pulmonary|Neuro|Psych|Extremities|Code Status|Diet|Activity|Follow-up|Labs|Imaging|Problems|Discharge Diagnosis|DATA|EXAM|HPI|PMH";

/// Devices, sutures and dressings, which bear names.
pub const DEVICES: &str = "retractor|forceps|clamp|drill|valve|splint|splints|catheter|needle|suture|stitch|drain|stent|graft|\
bandage|dressing|plate|screws|scissors|elevator|speculum|trocar|cannula|tube|shunt|prosthesis|pump|brace|stockings|boot|saw|hook|\
wire|knife|scope|balloon|filter|mesh|approach|incision|technique|repair|procedure|osteotomy|flap|anastomosis|ligament|fascia|lavage";
