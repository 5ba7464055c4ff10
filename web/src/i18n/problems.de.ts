/** What the API and the agents say, in German. Whatever is not here is shown as they say it, in English. */

/** What a problem is and what to do about it, by its code; without advice where their own knows more, or
 * differs from case to case. Their own words, with names and numbers, stand below. */
const PROBLEMS: Record<string, readonly [what: string, advice?: string]> = {
  "agent-busy-updating": [
    "Der Agent wird gerade aktualisiert",
    "Warten, bis das zu Ende ist, oder es abbrechen.",
  ],
  "agent-declined": ["Der Agent lehnt ab"],
  "agent-error": ["Im Agenten ist etwas schiefgegangen", "Wiederholt es sich: im Log des Agenten nachsehen."],
  "agent-exists": [
    "Ein Agent dieses Namens ist schon da",
    "Einen anderen Namen wählen oder den alten Agenten zuerst entfernen.",
  ],
  "agent-key": ["Das ist nicht der Schlüssel dieses Agenten"],
  "agent-name": ["Dieser Name passt nicht zum Token"],
  "agent-name-reserved": ["Der Name ist schon vergeben", "Jenes Token nehmen, warten oder anders nennen."],
  "agent-offline": ["Der Agent ist nicht verbunden"],
  "agent-removed": [
    "Der Agent wurde entfernt",
    "Mit einem anderen Agenten neu beginnen; was ganz ankam, bleibt.",
  ],
  "agent-restarted": [
    "Der Agent kam ohne das zurück, was er begonnen hatte",
    "Es wird von selbst noch einmal gesandt. Wiederholt es sich: im Log des Agenten nachsehen.",
  ],
  "agent-silent": ["Der Agent schweigt"],
  "agent-too-old": ["Der Agent ist dafür zu alt"],
  "agent-unknown": ["Einen Agenten dieses Namens gibt es nicht", "In der Liste der Agenten nachsehen."],
  "api-refused": ["Die API hat dem Agenten abgesagt"],
  "arrived-damaged": [
    "Daten kamen beschädigt an",
    "Sie kommen noch einmal. Wiederholt es sich: die Leitung prüfen.",
  ],
  "bucket-declined": [
    "S3 zeigt diesen Bucket nicht",
    "Nachsehen, ob es ihn gibt und ob seine eigene Richtlinie Crosshauls Konto hineinschauen lässt.",
  ],
  "bucket-silent": ["S3 antwortet gerade nicht", "Gleich noch einmal versuchen."],
  "bucket-unknown": ["Diesen Bucket dürfen Übertragungen nicht lesen oder schreiben"],
  certificate: ["Mit diesem Zertifikat geht es nicht"],
  "clock-skew": ["Eine Uhr geht falsch", "Die Uhr des Servers stellen: timedatectl status."],
  "command-expired": ["Ein Befehl kam zu spät beim Agenten an", "Die Uhr des Servers prüfen."],
  "command-malformed": ["Der Agent versteht einen Befehl nicht", "Den Agenten aktualisieren."],
  "command-misdelivered": ["Ein Befehl kam bei einem anderen Agenten an"],
  "command-not-trusted": ["Der Agent traut der Unterschrift eines Befehls nicht"],
  "command-replayed": ["Der Agent hat diesen Befehl schon ausgeführt"],
  "command-too-large": ["Ein Befehl ist zu groß"],
  conflict: ["So, wie es steht, geht das nicht"],
  cursor: ["Diese Fortsetzung kennt die Liste nicht", "Von vorn beginnen."],
  "destination-changed": ["Am Ziel ist nicht mehr da, was angekommen war"],
  "control-character-in-name": [
    "Im Namen ist ein Steuerzeichen, etwa ein Zeilenumbruch, und rclone gäbe ihr einen anderen Namen",
    "Unter einem Namen ohne solche Zeichen ablegen.",
  ],
  "destination-exists": [
    "Am Ziel liegt schon etwas anderes",
    "Es beiseitelegen oder beim Überschreiben etwas anderes wählen.",
  ],
  "destination-full": ["Am Ziel ist kein Platz mehr", "Platz schaffen; es geht von selbst weiter."],
  "destination-read-only": ["Das Ziel lässt sich nicht beschreiben", "Es zum Schreiben einhängen."],
  "destination-unreachable": [
    "Das Ziel ist nicht erreichbar",
    "Nachsehen, ob sein Agent läuft und sein Port von hier offen ist (`crosshaul agent doctor` auf beiden Servern).",
  ],
  "duplicate-destination": ["Ein Ziel steht zweimal da", "Jedes nur einmal nennen."],
  endpoint: ["Das ist keine Adresse", "Als Host:Port schreiben."],
  "enrollment-token": ["Dieses Token gilt nicht", "Einen Administrator um ein neues bitten."],
  "file-too-large": ["Die Datei ist für das Dateisystem am Ziel zu groß", "Ein anderes Ziel wählen."],
  "files-failed": [
    "Nicht alle Dateien sind angekommen",
    "Bei jeder nachsehen, was es ist, und dann wiederholen: nur diese werden noch einmal gesandt.",
  ],
  "filter-refused": [
    "Mit diesen Filtern geht es nicht",
    "Mit anderen noch einmal anfordern; bei einer Vorlage diese ändern.",
  ],
  forbidden: ["Das ist nicht erlaubt"],
  "helper-failing": [
    "Ein Teil des Agenten scheitert immer wieder",
    "Übertragungen gehen weiter. Im Log des Agenten nachsehen.",
  ],
  "hop-not-under-way": ["Diese Etappe ist nicht unterwegs"],
  "idempotency-key-reused": ["Derselbe Schlüssel kam mit einem anderen Wunsch"],
  "in-the-way": ["Etwas anderes steht im Weg", "Es wegräumen oder eines von beiden umbenennen."],
  internal: [
    "In der Steuerung ist etwas kaputt",
    "Noch einmal versuchen; bleibt es so, einem Administrator die Nummer nennen.",
  ],
  "io-error": ["Lesen oder Schreiben ist misslungen", "Im Log jenes Servers nachsehen."],
  "is-a-directory": ["Wo eine Datei hin soll, ist ein Verzeichnis", "Es wegräumen oder eines umbenennen."],
  limit: ["Das ist mehr, als geht"],
  "link-in-the-way": [
    "Am Ziel steht eine Verknüpfung, wo ein Verzeichnis hingehört",
    "Sie entfernen oder das Verzeichnis, auf das sie zeigt, selbst als Ziel nennen.",
  ],
  "ledger-damaged": [
    "Das Verzeichnis des Agenten über diese Etappe ist beschädigt",
    "Der nächste Versuch vergleicht mit dem, was am Ziel steht. Die Platte dieses Servers prüfen.",
  ],
  "link-loop": [
    "Eine Verknüpfung führt in ein Verzeichnis, in dem sie selbst liegt",
    "Verknüpfungen behalten oder weglassen.",
  ],
  "link-without-file": ["Die Datei, deren zweiter Name das ist, fehlt"],
  malformed: ["Diese Anfrage ist nicht zu verstehen"],
  "manifest-not-wanted": ["Hier wird kein Manifest erwartet"],
  misfit: ["Etwas stimmt noch nicht", "Bitte berichtigen und noch einmal senden."],
  "mounted-twice": [
    "Ein Verzeichnis ist am Ziel unter zwei Pfaden eingehängt",
    "Eines von beiden aushängen oder weglassen.",
  ],
  "name-collision": [
    "Zwei Namen sind am Ziel derselbe",
    "Eine der beiden Dateien umbenennen oder ein Ziel wählen, das sie unterscheidet.",
  ],
  "name-too-long": ["Ein Name ist für das Dateisystem zu lang", "Ihn kürzen."],
  "no-ranges": ["Der Server gibt diese Datei nur als Ganzes her"],
  "no-such-method": ["So lässt sich das nicht ansprechen"],
  "no-such-route": ["Das kennt die API nicht"],
  "not-a-directory": ["Das ist kein Verzeichnis"],
  "not-a-path": [
    "Ein Objekt heißt so, wie keine Datei heißen kann",
    "Dem Objekt einen anderen Schlüssel geben.",
  ],
  "not-for-remote": ["Das kann jenes Remote nicht aufnehmen"],
  "not-for-s3": ["Das kann S3 nicht aufnehmen"],
  "not-found": ["Das gibt es nicht", "Die Schreibweise prüfen."],
  "not-readable": ["Der Agent kann das nicht lesen"],
  "not-served": ["Die Quelle gibt gerade nichts heraus", "Es wird von selbst wieder versucht."],
  "not-signed-in": ["Nicht angemeldet", "Bitte anmelden."],
  "not-to-remove": ["Diese Etappe darf an der Quelle nichts entfernen"],
  "nothing-to-update": ["Alle haben diese Version schon", "Es ist nichts zu tun."],
  options: ["Diese Einstellungen passen nicht zusammen oder nicht zu diesen Enden"],
  "outside-roots": ["Der Pfad liegt in keiner Wurzel des Agenten oder führt aus ihr hinaus"],
  overlap: ["Quelle und Ziel überschneiden sich", "Zwei Orte nennen, von denen keiner im anderen liegt."],
  "owner-not-allowed": ["Der Agent am Ziel darf Dateien niemandem übereignen"],
  "path-missing": ["Ein solches Verzeichnis gibt es nicht", "Den Pfad prüfen."],
  "peer-certificate": [
    "Das Zertifikat des anderen Agenten ist nicht zu lesen",
    "Jenen Agenten neu aufnehmen.",
  ],
  "permission-denied": ["Der Benutzer des Agenten hat hier keinen Zugriff", "Ihm Zugriff geben."],
  "policy-exists": [
    "Eine Richtlinie dieses Namens ist schon da",
    "Einen anderen Namen wählen oder jene ändern.",
  ],
  "policy-invalid": ["Die Richtlinie stimmt noch nicht"],
  "policy-lockout": ["Danach dürften Sie Richtlinien nicht mehr ändern"],
  "person-unknown": [
    "Diese E-Mail-Adresse hat zurzeit niemand",
    "Schreibweise prüfen; für jemanden, der gegangen ist oder jetzt eine andere Adresse hat, die Kennung aus dem Protokoll angeben.",
  ],
  "policy-unknown": ["Eine Richtlinie dieses Namens gibt es nicht"],
  "previous-hop-ended": ["Die Etappe davor ist nicht angekommen"],
  "previous-hop-rests": ["Die Etappe davor ruht", "Geht jene weiter, geht auch diese weiter."],
  "rclone-missing": [
    "Auf dem Server dieses Agenten fehlt rclone",
    "Dort rclone 1.66 oder neuer installieren; `crosshaul agent doctor` sagt, wann es gefunden wird.",
  ],
  "read-only": ["Dort darf niemand schreiben"],
  "read-only-remote": ["Auf dieses Remote darf niemand schreiben"],
  "read-only-root": ["In diese Wurzel darf niemand schreiben"],
  refused: ["So geht das nicht"],
  "remote-denied": [
    "Das Remote lässt diesen Server nicht hinein",
    "Der Administrator des Servers erneuert den Zugang mit `rclone config reconnect` oder `rclone config`.",
  ],
  "remote-failed": ["rclone kam mit dem Remote nicht zurecht", "Es wird von selbst noch einmal versucht."],
  "remote-not-described": ["Die Konfiguration von rclone kennt dieses Remote nicht, oder es gibt sie nicht"],
  "remote-slow": [
    "Das Remote antwortete nicht schnell genug",
    "Noch einmal versuchen oder den Pfad selbst schreiben.",
  ],
  "remote-unknown": ["Dieser Agent bietet kein solches Remote an"],
  "rollout-over": ["Mit diesem Token kommt niemand mehr dazu", "Einen Administrator um ein neues bitten."],
  "rollout-unknown": ["Ein solches Token für mehrere gibt es nicht"],
  "route-unsupported": ["Zwischen diesen beiden Enden gibt es keinen Weg"],
  "s3-denied": [
    "S3 lässt den Agenten hier nicht heran",
    "Den Bucket bei der Einrichtung nennen (-c buckets=…) und seine eigene Richtlinie ansehen.",
  ],
  "s3-failed": ["S3 war nicht zu gebrauchen", "Es wird von selbst noch einmal versucht."],
  "same-place": [
    "Quelle und Ziel sind ein und derselbe Ort, oder einer liegt im anderen",
    "Einen Ort außerhalb der Quelle nennen; nachsehen, ob Verknüpfungen oder Einhängungen dorthin führen.",
  ],
  "size-unknown": ["Wie groß das ist, zeigt sich erst beim Lesen, und dafür fehlt dem Agenten der Platz"],
  "source-changed": [
    "Die Datei änderte sich, während sie gelesen wurde",
    "Noch einmal senden, wenn sie ruht.",
  ],
  "source-empty": ["An der Quelle ist keine Datei, also wird am Ziel nichts entfernt"],
  "source-kept": ["Etwas blieb an der Quelle liegen"],
  "source-misbehaved": ["Der andere Agent sagte, was keiner sagen soll", "Haben beide dieselbe Version?"],
  "source-missing": ["Das ist nicht da"],
  "source-too-old": ["Der Agent der Quelle ist dafür zu alt", "Jenen Agenten aktualisieren."],
  "source-unreachable": [
    "Die Quelle ist nicht erreichbar",
    "Nachsehen, ob ihr Agent läuft und sein Port von hier offen ist (`crosshaul agent doctor` auf beiden Servern).",
  ],
  "source-vanished": [
    "Die Datei verschwand, bevor sie gelesen war",
    "Nichts zu tun, wenn das so sein sollte.",
  ],
  "special-file": ["Ein Gerät, ein Socket oder eine FIFO lässt sich nicht übertragen"],
  stale: ["Jemand anderes hat es im selben Augenblick geändert", "Noch einmal versuchen."],
  state: ["In diesem Zustand geht das nicht"],
  "state-damaged": [
    "Der Agent hat beschädigte Dateien beiseitegelegt",
    "Er arbeitet ohne sie. Gründe stehen in seinem Log. Die Platte prüfen, dann die Dateien löschen.",
  ],
  "still-arriving": ["Die Datei ist an der Quelle selbst noch nicht ganz da"],
  "template-exists": [
    "Eine Vorlage dieses Namens ist schon da",
    "Einen anderen Namen wählen oder jene ändern.",
  ],
  "template-loop": ["Diese Vorlage würde sich selbst auslösen"],
  "template-misnamed": ["Die Vorlage heißt im Text anders als in der Adresse"],
  "template-unknown": ["Eine Vorlage dieses Namens gibt es nicht"],
  "thing-foreign": [
    "In IoT Core gibt es schon ein fremdes Ding dieses Namens",
    "Klären, wem es gehört; braucht es niemand, es in AWS löschen, sonst den Agenten anders nennen.",
  ],
  "too-large": ["Das ist zu groß", "Weniger auf einmal senden."],
  "transfer-unknown": ["Eine solche Übertragung gibt es nicht", "In der Liste der Übertragungen nachsehen."],
  unreadable: ["Das lässt sich nicht übertragen"],
  "update-over": ["Diese Aktualisierung ist schon zu Ende"],
  "update-unknown": ["Eine solche Aktualisierung gibt es nicht"],
  "version-unknown": ["Diese Version wurde für Agenten nicht veröffentlicht"],
  "wire-unknown": ["Der Agent ist zu alt, um das zu verstehen", "Den Agenten aktualisieren."],
  "written-wrong": [
    "Von der Platte kam etwas anderes zurück, als geschrieben wurde",
    "Es kommt noch einmal. Wiederholt es sich: Platte und Speicher jenes Servers prüfen lassen.",
  ],
};

const CONNECTION_KINDS: Record<string, string> = {
  direct: "direkt",
  relay: "über den Zwischen-Bucket",
  s3: "S3",
  local: "lokal",
  remote: "Remote",
};

/** What became of a hop, as lambdas/domain/timeline.py words it. */
const HOP_EVENTS: readonly (readonly [RegExp, (found: string[]) => string])[] = [
  [/^waits for approval$/, () => "wartet auf Zustimmung"],
  [/^waits for the hop before it$/, () => "wartet auf die Etappe davor"],
  [/^queued$/, () => "in der Warteschlange"],
  [/^queued again, attempt (\d+)$/, ([attempt]) => `wieder in der Warteschlange, Versuch ${attempt}`],
  [/^offered to (.+)$/, ([agent]) => `wurde ${agent} angeboten`],
  [/^started \((\w+)\)$/, ([way = ""]) => `begonnen (${lookUp(CONNECTION_KINDS, way) ?? way})`],
  [/^started \(direct, (.+) dialled (.+)\)$/, ([one, other]) => `begonnen (direkt, ${one} rief ${other} an)`],
  [/^paused$/, () => "angehalten"],
  [/^has arrived, is being read back$/, () => "angekommen, wird zur Kontrolle gelesen"],
  [/^succeeded$/, () => "gelungen"],
  [/^failed$/, () => "misslungen"],
  [/^was cancelled$/, () => "abgebrochen"],
];
const TRANSFER_EVENTS: Record<string, string> = {
  requested: "beauftragt",
  approved: "zugestimmt",
  paused: "angehalten",
  resumed: "fortgesetzt",
  cancelled: "abgebrochen",
  retried: "wiederholt",
};

/** Words from outside are no names of what every object has. */
function lookUp<T>(words: Record<string, T>, word: string): T | undefined {
  return Object.hasOwn(words, word) ? words[word] : undefined;
}

export function problemInGerman(code: string): readonly [what: string, advice?: string] | undefined {
  return lookUp(PROBLEMS, code);
}

/** A line of a timeline; undefined if it is none of those that are known. */
export function eventInGerman(what: string): string | undefined {
  const [, number, event] = /^hop (\d+) (.*)$/.exec(what) ?? [];
  if (event === undefined) return lookUp(TRANSFER_EVENTS, what);
  for (const [pattern, say] of HOP_EVENTS) {
    const found = pattern.exec(event);
    if (found) return `Etappe ${number} ${say(found.slice(1))}`;
  }
  return undefined;
}
