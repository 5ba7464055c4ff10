/** German translations of problems and timeline events. Everything else is shown in the original English. */
import type { HopEvent, ProblemCode, TransferEvent } from "../reported";

/**
 * Title and advice by problem code. Advice is omitted where the original knows more. The original message,
 * with names and numbers, is shown below.
 */
const PROBLEMS: Record<ProblemCode, readonly [what: string, advice?: string]> = {
  "agent-busy-updating": [
    "Der Agent wird gerade aktualisiert",
    "Warten, bis das zu Ende ist, oder es abbrechen.",
  ],
  "agent-declined": ["Der Agent lehnt ab"],
  "agent-error": ["Interner Fehler im Agenten", "Wiederholt es sich: im Log des Agenten nachsehen."],
  "agent-exists": [
    "Ein Agent mit diesem Namen existiert bereits",
    "Einen anderen Namen wählen oder den alten Agenten zuerst entfernen.",
  ],
  "agent-key": ["Das ist nicht der Schlüssel dieses Agenten"],
  "agent-name": ["Dieser Name passt nicht zum Token"],
  "agent-name-reserved": [
    "Der Name ist bereits reserviert",
    "Das vorhandene Token verwenden, warten oder einen anderen Namen wählen.",
  ],
  "agent-offline": ["Der Agent ist nicht verbunden"],
  "agent-removed": [
    "Der Agent wurde entfernt",
    "Mit einem anderen Agenten neu starten; vollständig angekommene Dateien bleiben.",
  ],
  "agent-restarted": [
    "Der Agent hat nach einem Neustart diese Etappe verloren",
    "Sie wird automatisch erneut gesendet. Wiederholt es sich: im Log des Agenten nachsehen.",
  ],
  "agent-silent": ["Der Agent meldet sich nicht"],
  "agent-too-old": ["Die Version des Agenten ist dafür zu alt"],
  "agent-unknown": ["Ein Agent mit diesem Namen existiert nicht", "In der Liste der Agenten nachsehen."],
  "approval-declined": [
    "Die Genehmigung wurde abgelehnt",
    "Darüber sprechen. Dann wiederholen, was erneut um Genehmigung bittet, oder eine andere Übertragung starten.",
  ],
  "api-refused": ["Die API hat die Anfrage des Agenten abgelehnt"],
  "arrived-damaged": [
    "Daten kamen beschädigt an",
    "Sie werden erneut übertragen. Wiederholt es sich: die Verbindung prüfen.",
  ],
  "bucket-declined": [
    "S3 verweigert den Zugriff auf diesen Bucket",
    "Prüfen, ob er existiert und ob seine Bucket-Richtlinie dem Konto von Crosshaul Zugriff gewährt.",
  ],
  "bucket-silent": ["S3 antwortet gerade nicht", "Gleich erneut versuchen."],
  "bucket-unknown": ["Diesen Bucket dürfen Übertragungen nicht lesen oder schreiben"],
  certificate: ["Dieses Zertifikat wird nicht akzeptiert"],
  "clock-skew": ["Eine Uhr geht falsch", "Die Uhr des Servers stellen: timedatectl status."],
  "command-expired": ["Ein Befehl kam zu spät beim Agenten an", "Die Uhr des Servers prüfen."],
  "command-malformed": ["Der Agent versteht einen Befehl nicht", "Den Agenten aktualisieren."],
  "command-misdelivered": ["Ein Befehl kam bei einem anderen Agenten an"],
  "command-not-trusted": ["Der Agent vertraut der Signatur eines Befehls nicht"],
  "command-replayed": ["Der Agent hat diesen Befehl schon ausgeführt"],
  "command-too-large": ["Ein Befehl ist zu groß"],
  cursor: ["Ungültiger Cursor", "Mit der ersten Seite neu beginnen."],
  "destination-changed": ["Am Ziel wurden angekommene Dateien verändert"],
  "destination-exists": [
    "Am Ziel existiert bereits eine andere Datei",
    "Sie verschieben oder eine andere Option zum Überschreiben wählen.",
  ],
  "destination-full": [
    "Am Ziel ist kein Platz mehr",
    "Platz schaffen; die Übertragung läuft automatisch weiter.",
  ],
  "destination-read-only": ["Das Ziel ist nur lesbar", "Es zum Schreiben einhängen."],
  "destination-unreachable": [
    "Das Ziel ist nicht erreichbar",
    "Prüfen, ob sein Agent läuft und sein Port von hier offen ist (`crosshaul agent doctor` auf beiden Servern).",
  ],
  "duplicate-destination": ["Ein Ziel ist doppelt angegeben", "Jedes Ziel nur einmal angeben."],
  endpoint: ["Das ist keine Adresse", "Als Host:Port schreiben."],
  "enrollment-token": ["Dieses Token ist ungültig", "Einen Administrator um ein neues bitten."],
  "file-too-large": ["Die Datei ist für das Dateisystem am Ziel zu groß", "Ein anderes Ziel wählen."],
  "files-failed": [
    "Nicht alle Dateien sind angekommen",
    "Die Ursache jeder Datei beheben und dann wiederholen: nur diese Dateien werden erneut gesendet.",
  ],
  "filter-refused": [
    "Diese Filter werden nicht akzeptiert",
    "Mit anderen noch einmal anfordern; bei einer Vorlage diese ändern.",
  ],
  forbidden: ["Das ist nicht erlaubt"],
  "api-address-kept": [
    "Die neue Adresse der API antwortet nicht",
    "Namensauflösung und Firewall von diesem Server zur neuen Adresse prüfen. Der Agent versucht es weiter.",
  ],
  "helper-failing": [
    "Ein Teil des Agenten schlägt wiederholt fehl",
    "Übertragungen gehen weiter. Im Log des Agenten nachsehen.",
  ],
  "hop-not-under-way": ["Diese Etappe läuft nicht"],
  "idempotency-key-reused": ["Derselbe Idempotency-Key wurde mit einer anderen Anfrage verwendet"],
  "in-the-way": ["Ein anderes Objekt belegt diesen Namen", "Es entfernen oder eines von beiden umbenennen."],
  internal: [
    "Interner Fehler der Steuerung",
    "Erneut versuchen; bleibt der Fehler, einem Administrator die Nummer nennen.",
  ],
  "invalid-body": ["Ungültige Eingabe", "Bitte korrigieren und erneut senden."],
  "invalid-query": ["Ungültige Abfrage", "Bitte korrigieren und erneut senden."],
  "io-error": ["Lesen oder Schreiben ist fehlgeschlagen", "Im Log dieses Servers nachsehen."],
  "is-a-directory": [
    "Am Ziel der Datei ist ein Verzeichnis",
    "Es entfernen oder eines von beiden umbenennen.",
  ],
  "left-out": ["rclone hat die Datei ausgelassen", "Es wird automatisch erneut versucht."],
  limit: ["Grenzwert überschritten"],
  "link-in-the-way": [
    "Am Ziel ist ein symbolischer Link, wo ein Verzeichnis sein muss",
    "Den Link entfernen oder das Verzeichnis, auf das er zeigt, als Ziel angeben.",
  ],
  "lane-key-unusable": [
    "Der Schlüssel des Agenten für die Lane ist unbrauchbar",
    "Diesen Agenten neu starten: Er erstellt ein neues Zertifikat. Die Platte dieses Servers prüfen.",
  ],
  "ledger-damaged": [
    "Die Aufzeichnung des Agenten über diese Etappe ist beschädigt",
    "Der nächste Versuch vergleicht mit den Dateien am Ziel. Die Platte dieses Servers prüfen.",
  ],
  "link-loop": ["Ein symbolischer Link führt im Kreis", "Links behalten oder überspringen."],
  "link-without-file": ["Die Datei zu diesem Hardlink fehlt"],
  malformed: ["Ungültige Anfrage"],
  "manifest-not-wanted": ["Hier wird kein Manifest erwartet"],
  "mounted-twice": [
    "Ein Verzeichnis ist am Ziel unter zwei Pfaden eingehängt",
    "Eines von beiden aushängen oder weglassen.",
  ],
  "name-collision": [
    "Zwei Namen sind am Ziel derselbe",
    "Eine der beiden Dateien umbenennen oder ein Ziel wählen, das sie unterscheidet.",
  ],
  "name-too-long": ["Ein Name ist für das Dateisystem zu lang", "Ihn kürzen."],
  "name-not-utf8": [
    "Der Name ist kein gültiges UTF-8, und rclone würde einen anderen verwenden",
    "Die Datei umbenennen, etwa mit convmv.",
  ],
  "no-ranges": ["Der Server unterstützt keine Teilabrufe dieser Datei"],
  "no-such-method": ["Methode nicht erlaubt"],
  "no-such-route": ["Diesen Pfad gibt es in der API nicht"],
  "not-a-directory": ["Das ist kein Verzeichnis"],
  "not-a-path": [
    "Der Schlüssel eines Objekts ist kein gültiger Dateipfad",
    "Dem Objekt einen anderen Schlüssel geben.",
  ],
  "not-for-remote": ["Dieses Remote kann das nicht speichern"],
  "not-for-s3": ["S3 kann das nicht speichern"],
  "not-found": ["Nicht gefunden", "Die Schreibweise prüfen."],
  "not-readable": ["Der Agent kann das nicht lesen"],
  "not-served": ["Die Quelle liefert gerade keine Daten", "Es wird automatisch erneut versucht."],
  "not-signed-in": ["Nicht angemeldet", "Bitte anmelden."],
  "only-compared": ["Diese Etappe ist eine Vorschau und darf keine Inhalte lesen"],
  "not-to-remove": ["Diese Etappe darf an der Quelle nichts entfernen"],
  "nothing-to-update": ["Alle Agenten haben diese Version bereits", "Es ist nichts zu tun."],
  options: ["Diese Einstellungen passen nicht zusammen oder nicht zu diesen Enden"],
  "outside-roots": ["Der Pfad liegt in keiner Freigabe des Agenten oder führt aus ihr hinaus"],
  overlap: ["Quelle und Ziel überschneiden sich", "Zwei Orte angeben, von denen keiner im anderen liegt."],
  "owner-not-allowed": ["Der Agent am Ziel darf den Eigentümer von Dateien nicht ändern"],
  "path-missing": ["Dieses Verzeichnis existiert nicht", "Den Pfad prüfen."],
  "peer-certificate": [
    "Das Zertifikat des anderen Agenten ist nicht lesbar",
    "Den anderen Agenten neu registrieren.",
  ],
  "permission-denied": ["Der Benutzer des Agenten hat hier keinen Zugriff", "Ihm Zugriff geben."],
  "policy-exists": [
    "Eine Richtlinie mit diesem Namen existiert bereits",
    "Einen anderen Namen wählen oder die vorhandene ändern.",
  ],
  "policy-invalid": ["Die Richtlinie ist ungültig"],
  "policy-lockout": ["Danach dürften Sie Richtlinien nicht mehr ändern"],
  "person-unknown": [
    "Zu dieser E-Mail-Adresse gibt es keine Person",
    "Schreibweise prüfen; für jemanden, der gegangen ist oder jetzt eine andere Adresse hat, die ID aus dem Audit-Protokoll angeben.",
  ],
  "policy-unknown": ["Eine Richtlinie mit diesem Namen existiert nicht"],
  "previous-hop-ended": ["Die vorige Etappe ist nicht angekommen"],
  "previous-hop-incomplete": [
    "An der vorigen Etappe sind nicht alle Dateien angekommen",
    "Deren Problem beheben, dann den Transfer erneut versuchen.",
  ],
  "previous-hop-not-running": [
    "Die vorige Etappe pausiert",
    "Diese Etappe läuft weiter, sobald die vorige weiterläuft.",
  ],
  "rclone-missing": [
    "Auf dem Server dieses Agenten fehlt rclone",
    "Dort rclone 1.69 oder neuer installieren; `crosshaul agent doctor` zeigt, ob es gefunden wird.",
  ],
  "read-only": ["Dieser Ort ist nur lesbar"],
  "read-only-remote": ["Dieses Remote ist nur lesbar"],
  "read-only-root": ["Diese Freigabe ist nur lesbar"],
  refused: ["Die Anfrage wurde abgelehnt"],
  "remote-denied": [
    "Das Remote verweigert diesem Server den Zugriff",
    "Der Administrator des Servers erneuert den Zugang mit `rclone config reconnect` oder `rclone config`.",
  ],
  "remote-failed": ["rclone ist am Remote gescheitert", "Es wird automatisch erneut versucht."],
  "remote-not-described": ["Die Konfiguration von rclone kennt dieses Remote nicht, oder es gibt sie nicht"],
  "remote-slow": [
    "Das Remote antwortete nicht schnell genug",
    "Erneut versuchen oder den Pfad von Hand eingeben.",
  ],
  "remote-unknown": ["Dieser Agent bietet kein solches Remote an"],
  "rollout-over": [
    "Mit diesem Token können keine Server mehr beitreten",
    "Einen Administrator um ein neues bitten.",
  ],
  "rollout-unknown": ["Dieses Rollout existiert nicht"],
  "route-unsupported": ["Zwischen diesen beiden Enden ist keine Übertragung möglich"],
  "s3-archived": ["Das Objekt ist archiviert", "Es in S3 wiederherstellen und dann erneut übertragen."],
  "s3-credentials-refused": [
    "S3 akzeptiert die Zugangsdaten der Etappe nicht mehr",
    "Der Agent hat sie verworfen; es wird mit neuen erneut versucht.",
  ],
  "s3-denied": [
    "S3 verweigert dem Agenten den Zugriff",
    "Den Bucket in die Datei der Stage (stages/NAME.toml) eintragen, neu deployen und seine Richtlinie prüfen.",
  ],
  "s3-object-refused": [
    "S3 gibt das Objekt nicht heraus",
    "Prüfen, wie es verschlüsselt ist: Crosshaul hat keinen Schlüssel eines Kunden (SSE-C).",
  ],
  "s3-failed": ["Ein Zugriff auf S3 ist fehlgeschlagen", "Es wird automatisch erneut versucht."],
  "same-place": [
    "Quelle und Ziel sind ein und derselbe Ort, oder einer liegt im anderen",
    "Einen Ort außerhalb der Quelle angeben; prüfen, ob symbolische Links oder Mounts dorthin führen.",
  ],
  "size-unknown": ["Die Größe ist erst nach dem Lesen bekannt, und dafür fehlt dem Agenten der Platz"],
  "source-changed": [
    "Die Datei änderte sich, während sie gelesen wurde",
    "Erneut senden, wenn sie nicht mehr geändert wird.",
  ],
  "source-empty": ["An der Quelle ist keine Datei, also wird am Ziel nichts entfernt"],
  "source-kept": ["Nicht alle Dateien an der Quelle wurden entfernt"],
  "source-misbehaved": [
    "Der andere Agent hat das Protokoll verletzt",
    "Prüfen, ob beide dieselbe Version haben.",
  ],
  "source-missing": ["Die Quelle existiert nicht"],
  "source-too-old": ["Die Version des Quellagenten ist dafür zu alt", "Den Quellagenten aktualisieren."],
  "source-unreachable": [
    "Die Quelle ist nicht erreichbar",
    "Prüfen, ob ihr Agent läuft und sein Port von hier offen ist (`crosshaul agent doctor` auf beiden Servern).",
  ],
  "source-vanished": [
    "Die Datei wurde gelöscht, bevor sie gelesen war",
    "Nichts zu tun, wenn das so sein sollte.",
  ],
  "reserved-name": ["Ein Name, den Crosshaul für eigene Dateien verwendet", "Zum Übertragen umbenennen."],
  "special-file": ["Ein Gerät, ein Socket oder eine FIFO lässt sich nicht übertragen"],
  stale: ["Es wurde gleichzeitig von anderer Stelle geändert", "Erneut versuchen."],
  state: ["In diesem Zustand nicht möglich"],
  "state-disk-full": [
    "Die Platte mit dem Zustandsverzeichnis des Agents ist voll",
    "Platz auf dieser Platte schaffen; die Übertragung läuft automatisch weiter.",
  ],
  "state-damaged": [
    "Der Agent hat beschädigte Zustandsdateien beiseitegelegt",
    "Er arbeitet ohne sie. Gründe stehen in seinem Log. Die Platte prüfen, dann die Dateien löschen.",
  ],
  "still-arriving": ["Die Datei ist an der Quelle noch nicht vollständig"],
  "template-exists": [
    "Eine Vorlage mit diesem Namen existiert bereits",
    "Einen anderen Namen wählen oder die vorhandene ändern.",
  ],
  "template-loop": ["Diese Vorlage würde sich selbst auslösen"],
  "template-misnamed": ["Die Vorlage heißt im Text anders als in der Adresse"],
  "template-unknown": ["Eine Vorlage mit diesem Namen existiert nicht"],
  "thing-foreign": [
    "In IoT Core existiert bereits ein fremdes Thing mit diesem Namen",
    "Klären, wem es gehört; wird es nicht gebraucht, in AWS löschen, sonst einen anderen Namen für den Agenten wählen.",
  ],
  "too-large": ["Das ist zu groß", "Weniger auf einmal senden."],
  "too-many-requests": ["Zu viele Anfragen", "Kurz warten und erneut versuchen."],
  "transfer-unknown": ["Diese Übertragung existiert nicht", "In der Liste der Übertragungen nachsehen."],
  unreadable: ["Das lässt sich nicht übertragen"],
  unavailable: [
    "Die API ist nicht verfügbar",
    "Erneut versuchen; bleibt der Fehler, findet ein Administrator die Ursache im Log der Funktion.",
  ],
  "update-over": ["Diese Aktualisierung ist bereits beendet"],
  "update-unknown": ["Diese Aktualisierung existiert nicht"],
  "version-unknown": ["Diese Version wurde für Agenten nicht veröffentlicht"],
  "wire-unknown": ["Die Version des Agenten versteht diese Nachricht nicht", "Den Agenten aktualisieren."],
  "written-wrong": [
    "Die zurückgelesenen Daten weichen von den geschriebenen ab",
    "Die Datei wird erneut übertragen. Wiederholt es sich: Platte und Arbeitsspeicher dieses Servers prüfen.",
  ],
};

const CONNECTION_KINDS: Record<string, string> = {
  direct: "direkt",
  relay: "über den Relay-Bucket",
  s3: "S3",
  local: "lokal",
  remote: "Remote",
};

/** Hop events by their English template; the functions are given what fills it. */
const HOP_EVENTS: Record<HopEvent, (...filled: string[]) => string> = {
  "waits for approval": () => "wartet auf Genehmigung",
  "waits for the hop before it": () => "wartet auf die vorige Etappe",
  queued: () => "in der Warteschlange",
  "queued again, attempt {attempt}": (attempt) => `wieder in der Warteschlange, Versuch ${attempt}`,
  "offered to {carrier}": (carrier) => `wurde ${carrier} angeboten`,
  "started ({via})": (via = "") => `begonnen (${connectionInGerman(via)})`,
  paused: () => "pausiert",
  "has arrived, is being read back": () => "angekommen, wird zur Prüfung zurückgelesen",
  succeeded: () => "erfolgreich",
  failed: () => "fehlgeschlagen",
  "was cancelled": () => "abgebrochen",
};
const TRANSFER_EVENTS: Record<TransferEvent, string> = {
  requested: "angefordert",
  approved: "genehmigt",
  declined: "abgelehnt",
  paused: "pausiert",
  resumed: "fortgesetzt",
  cancelled: "abgebrochen",
  retried: "wiederholt",
  acknowledged: "quittiert",
};

/** Look up a key without inherited properties such as `constructor`. */
function lookUp<T>(words: Record<string, T>, word: string): T | undefined {
  return Object.hasOwn(words, word) ? words[word] : undefined;
}

export function problemInGerman(code: string): readonly [what: string, advice?: string] | undefined {
  return lookUp(PROBLEMS, code);
}

/** Translate a timeline event. Return undefined if it is unknown. */
export function eventInGerman(what: string): string | undefined {
  const [, number, event] = /^hop (\d+) (.*)$/.exec(what) ?? [];
  if (event === undefined) return lookUp(TRANSFER_EVENTS, what);
  for (const [template, say] of Object.entries(HOP_EVENTS)) {
    const found = patternOf(template).exec(event);
    if (found) return `Etappe ${number} ${say(...found.slice(1))}`;
  }
  return undefined;
}

/** Return the pattern of the texts that a template gives. */
function patternOf(template: string): RegExp {
  const escaped = template.replace(/[()]/g, "\\$&");
  return new RegExp(`^${escaped.replace(/\{\w+\}/g, "(.+)")}$`);
}

/** Translate how bytes travel: `s3`, or `direct, server-c dialed 10.0.0.2:4460`. */
function connectionInGerman(via: string): string {
  const [, one, other] = /^direct, (.+) dialed (.+)$/.exec(via) ?? [];
  if (one !== undefined) return `direkt, ${one} hat sich mit ${other} verbunden`;
  return lookUp(CONNECTION_KINDS, via) ?? via;
}
