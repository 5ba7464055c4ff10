/** German translations of problems and timeline events. Everything else is shown in the original English. */
import type { HopEvent, InputWording, ProblemCode, TransferEvent, Wording } from "../reported";

/** Titles by problem code. */
const TITLES: Record<ProblemCode, string> = {
  "update-incomplete": "Nicht alle Agenten haben die neue Version",
  "update-aborted": "Die Aktualisierung wurde abgebrochen: zu viele Fehler",
  "update-cancelled": "Die Aktualisierung wurde abgebrochen",
  "update-not-due": "Der Agent ist nicht an der Reihe",
  "update-failed": "Die Aktualisierung konnte nicht installiert werden",
  "update-unhealthy": "Die neue Version hat sich nicht als gesund gemeldet",
  "update-refused": "Der Host akzeptiert diese Version nicht",
  "agent-busy-updating": "Der Agent wird gerade aktualisiert",
  "approval-declined": "Die Genehmigung wurde abgelehnt",
  "agent-declined": "Der Agent lehnt ab",
  "agent-error": "Interner Fehler im Agenten",
  "agent-exists": "Ein Agent mit diesem Namen existiert bereits",
  "agent-key": "Das ist nicht der Schlüssel dieses Agenten",
  "agent-name": "Dieser Name passt nicht zum Token",
  "agent-name-reserved": "Der Name ist bereits reserviert",
  "agent-offline": "Der Agent ist nicht verbunden",
  "agent-removed": "Der Agent wurde entfernt",
  "agent-restarted": "Der Agent hat nach einem Neustart diese Etappe verloren",
  "agent-silent": "Der Agent meldet sich nicht",
  "agent-too-old": "Die Version des Agenten ist dafür zu alt",
  "agent-unknown": "Ein Agent mit diesem Namen existiert nicht",
  "api-refused": "Die API hat die Anfrage des Agenten abgelehnt",
  "arrived-damaged": "Daten kamen beschädigt an",
  "bucket-declined": "S3 verweigert den Zugriff auf diesen Bucket",
  "bucket-distant": "Dieser Bucket ist in einer anderen Region oder einem anderen Konto",
  "bucket-silent": "S3 antwortet gerade nicht",
  "bucket-unknown": "Diesen Bucket dürfen Übertragungen nicht lesen oder schreiben",
  certificate: "Dieses Zertifikat wird nicht akzeptiert",
  "clock-skew": "Eine Uhr geht falsch",
  "command-expired": "Ein Befehl kam zu spät beim Agenten an",
  "command-malformed": "Der Agent versteht einen Befehl nicht",
  "command-misdelivered": "Ein Befehl kam bei einem anderen Agenten an",
  "command-not-trusted": "Der Agent vertraut der Signatur eines Befehls nicht",
  "command-replayed": "Der Agent hat diesen Befehl schon ausgeführt",
  "command-too-large": "Ein Befehl ist zu groß",
  cursor: "Ungültiger Cursor",
  "destination-changed": "Am Ziel wurden angekommene Dateien verändert",
  "destination-exists": "Am Ziel existiert bereits eine andere Datei",
  "destination-full": "Am Ziel ist kein Platz mehr",
  "destination-read-only": "Das Ziel ist nur lesbar",
  "destination-unreachable": "Das Ziel ist nicht erreichbar",
  "duplicate-destination": "Ein Ziel ist doppelt angegeben",
  "drain-over": "Die Sperre wäre schon vorbei",
  endpoint: "Das ist keine Adresse",
  "enrollment-token": "Dieses Token ist ungültig",
  "file-too-large": "Die Datei ist für das Dateisystem am Ziel zu groß",
  "files-failed": "Nicht alle Dateien sind angekommen",
  "filter-refused": "Diese Filter werden nicht akzeptiert",
  forbidden: "Das ist nicht erlaubt",
  "api-address-kept": "Die neue Adresse der API antwortet nicht",
  "helper-failing": "Ein Teil des Agenten schlägt wiederholt fehl",
  "hop-not-under-way": "Diese Etappe läuft nicht",
  "idempotency-key-reused": "Derselbe Idempotency-Key wurde mit einer anderen Anfrage verwendet",
  "in-the-way": "Ein anderes Objekt belegt diesen Namen",
  internal: "Interner Fehler der Steuerung",
  "invalid-body": "Ungültige Eingabe",
  "invalid-query": "Ungültige Abfrage",
  "io-error": "Lesen oder Schreiben ist fehlgeschlagen",
  "is-a-directory": "Am Ziel der Datei ist ein Verzeichnis",
  "left-out": "rclone hat die Datei ausgelassen",
  limit: "Grenzwert überschritten",
  "link-in-the-way": "Am Ziel ist ein symbolischer Link, wo ein Verzeichnis sein muss",
  "lane-key-unusable": "Der Schlüssel des Agenten für die Lane ist unbrauchbar",
  "outcome-unreadable": "Der Vermerk des Agenten über eine Datei ist beschädigt",
  "ledger-damaged": "Die Aufzeichnung des Agenten über diese Etappe ist beschädigt",
  "link-loop": "Ein symbolischer Link führt im Kreis",
  "link-without-file": "Die Datei zu diesem Hardlink fehlt",
  malformed: "Ungültige Anfrage",
  "manifest-not-wanted": "Hier wird kein Manifest erwartet",
  "mounted-twice": "Ein Verzeichnis ist am Ziel unter zwei Pfaden eingehängt",
  "name-collision": "Zwei Namen sind am Ziel derselbe",
  "name-not-allowed": "Das Dateisystem des Ziels erlaubt den Namen nicht",
  "name-too-long": "Ein Name ist für das Dateisystem zu lang",
  "name-not-utf8": "Der Name ist kein gültiges UTF-8",
  "no-ranges": "Der Server unterstützt keine Teilabrufe dieser Datei",
  "no-such-method": "Methode nicht erlaubt",
  "no-such-route": "Diesen Pfad gibt es in der API nicht",
  "not-a-directory": "Das ist kein Verzeichnis",
  "not-a-path": "Der Schlüssel eines Objekts ist kein gültiger Dateipfad",
  "not-for-remote": "Dieses Remote kann das nicht speichern",
  "not-for-s3": "S3 kann das nicht speichern",
  "not-found": "Nicht gefunden",
  "not-readable": "Der Agent kann das nicht lesen",
  "not-served": "Die Quelle liefert gerade keine Daten",
  "not-signed-in": "Nicht angemeldet",
  "only-compared": "Diese Etappe ist eine Vorschau und darf keine Inhalte lesen",
  "not-to-remove": "Diese Etappe darf an der Quelle nichts entfernen",
  "nothing-to-update": "Alle Agenten haben diese Version bereits",
  options: "Diese Einstellungen passen nicht zusammen oder nicht zu diesen Enden",
  "outside-roots": "Der Pfad liegt in keiner Freigabe des Agenten oder führt aus ihr hinaus",
  overlap: "Quelle und Ziel überschneiden sich",
  "owner-not-allowed": "Der Agent am Ziel darf den Eigentümer von Dateien nicht ändern",
  "path-missing": "Dieses Verzeichnis existiert nicht",
  "peer-certificate": "Das Zertifikat des anderen Agenten ist nicht lesbar",
  "permission-denied": "Der Benutzer des Agenten hat hier keinen Zugriff",
  "policy-exists": "Eine Richtlinie mit diesem Namen existiert bereits",
  "policy-invalid": "Die Richtlinie ist ungültig",
  "policy-lockout": "Danach dürften Sie Richtlinien nicht mehr ändern",
  "person-unknown": "Zu dieser E-Mail-Adresse gibt es keine Person",
  "policy-unknown": "Eine Richtlinie mit diesem Namen existiert nicht",
  "previous-hop-ended": "Die vorige Etappe ist nicht angekommen",
  "previous-hop-incomplete": "An der vorigen Etappe sind nicht alle Dateien angekommen",
  "previous-hop-not-running": "Die vorige Etappe pausiert",
  "rclone-missing": "Auf dem Server dieses Agenten fehlt rclone",
  "read-only": "Dieser Ort ist nur lesbar",
  "read-only-remote": "Dieses Remote ist nur lesbar",
  "read-only-root": "Diese Freigabe ist nur lesbar",
  refused: "Die Anfrage wurde abgelehnt",
  remounted: "Während der Übertragung wurde ein Datenträger ein- oder ausgehängt",
  "remote-denied": "Das Remote verweigert diesem Server den Zugriff",
  "remote-failed": "rclone ist am Remote gescheitert",
  "remote-not-described": "Die Konfiguration von rclone kennt dieses Remote nicht, oder es gibt sie nicht",
  "remote-slow": "Das Remote antwortete nicht schnell genug",
  "remote-unknown": "Dieser Agent bietet kein solches Remote an",
  "rollout-over": "Mit diesem Token können keine Server mehr beitreten",
  "rollout-unknown": "Dieses Rollout existiert nicht",
  "route-unsupported": "Zwischen diesen beiden Enden ist keine Übertragung möglich",
  "s3-archived": "Das Objekt ist archiviert",
  "s3-credentials-refused": "S3 akzeptiert die Zugangsdaten der Etappe nicht mehr",
  "s3-denied": "S3 verweigert dem Agenten den Zugriff",
  "s3-object-refused": "S3 lehnt die Anfrage nach einem Objekt ab",
  "s3-failed": "Ein Zugriff auf S3 ist fehlgeschlagen",
  "same-place": "Quelle und Ziel sind ein und derselbe Ort, oder einer liegt im anderen",
  "size-unknown": "Die Größe ist erst nach dem Lesen bekannt, und dafür fehlt dem Agenten der Platz",
  "source-changed": "Die Datei änderte sich, während sie gelesen wurde",
  "source-empty": "An der Quelle ist keine Datei, also wird am Ziel nichts entfernt",
  "source-kept": "Nicht alle Dateien an der Quelle wurden entfernt",
  "source-misbehaved": "Der andere Agent hat das Protokoll verletzt",
  "source-missing": "Die Quelle existiert nicht",
  "source-too-old": "Die Version des Quellagenten ist dafür zu alt",
  "source-unreachable": "Die Quelle ist nicht erreichbar",
  "source-vanished": "Die Datei wurde gelöscht, bevor sie gelesen war",
  "reserved-name": "Ein Name, den Crosshaul für eigene Dateien verwendet",
  "special-file": "Ein Gerät, ein Socket oder eine FIFO lässt sich nicht übertragen",
  stale: "Es wurde gleichzeitig von anderer Stelle geändert",
  state: "In diesem Zustand nicht möglich",
  "state-disk-full": "Die Platte mit dem Zustandsverzeichnis des Agents ist voll",
  "state-damaged": "Der Agent hat beschädigte Zustandsdateien beiseitegelegt",
  "still-arriving": "Die Datei ist an der Quelle noch nicht vollständig",
  "template-exists": "Eine Vorlage mit diesem Namen existiert bereits",
  "template-loop": "Diese Vorlage würde sich selbst auslösen",
  "template-misnamed": "Die Vorlage heißt im Text anders als in der Adresse",
  "template-unknown": "Eine Vorlage mit diesem Namen existiert nicht",
  "thing-foreign": "In IoT Core existiert bereits ein fremdes Thing mit diesem Namen",
  "too-large": "Das ist zu groß",
  "too-many-requests": "Zu viele Anfragen",
  "transfer-unknown": "Diese Übertragung existiert nicht",
  unreadable: "Das lässt sich nicht übertragen",
  unavailable: "Die API ist nicht verfügbar",
  "update-over": "Diese Aktualisierung ist bereits beendet",
  "update-unknown": "Diese Aktualisierung existiert nicht",
  "version-unknown": "Diese Version wurde für Agenten nicht veröffentlicht",
  "wire-unknown": "Die Version des Agenten versteht diese Nachricht nicht",
  "written-wrong": "Die zurückgelesenen Daten weichen von den geschriebenen ab",
};

/**
 * Message and advice by wording, without the advice where nothing needs to be done. `Meldung:` introduces what
 * an operating system, rclone or a network says, which has no translation.
 */
const WORDINGS: Record<Wording, readonly [message: string, advice?: string]> = {
  "account-gone": [
    "{person} darf das nicht ({action}: {object}): Das Konto wurde gelöscht oder deaktiviert.",
    "Eine andere Person darum bitten, oder die Vorlage oder das Rollout als eigenes neu anlegen.",
  ],
  "agent-busy-updating": [
    "Der Agent {agent_id} gehört zur Aktualisierung {update_id}, die noch läuft.",
    "Warten, bis sie zu Ende ist, oder sie abbrechen.",
  ],
  "agent-error": [
    "{error}: {reason}",
    "Im Log des Agenten (journalctl -u crosshaul-agent) auf diesem Server nachsehen.",
  ],
  "agent-exists": [
    "Der Agent {agent_id} ist bereits registriert.",
    "Einen anderen Namen wählen oder den vorhandenen Agenten zuerst entfernen.",
  ],
  "agent-key": [
    "Kein Agent dieses Namens hat diesen API-Schlüssel.",
    "Den eigenen API-Schlüssel des Agenten in X-Agent-Key senden.",
  ],
  "agent-name-reserved": [
    "Der Name {agent_id} ist reserviert: Für ihn gibt es ein Token, oder ein Server tritt gerade unter ihm bei.",
    "Dieses Token verwenden, warten, bis es abläuft, oder einen anderen Namen wählen.",
  ],
  "agent-offline": [
    "Der Agent {agent_id} ist nicht verbunden.",
    "Den Agenten starten oder warten, bis er wieder da ist.",
  ],
  "update-incomplete": [
    "{missing} von {total} Agenten haben die neue Version nicht.",
    "Die Gründe stehen bei jedem Agenten; danach diese Agenten erneut aktualisieren.",
  ],
  "update-expired": [
    "Nicht alle Agenten haben sich binnen {days} Tagen gemeldet.",
    "Die Agenten starten, die nicht verbunden sind, und dann aktualisieren.",
  ],
  "update-unreported": [
    "Der Agent hat sich nicht rechtzeitig gemeldet.",
    "Siehe `journalctl -u crosshaul-update` auf dem Host.",
  ],
  "update-agent-gone": ["Der Agent wurde entfernt."],
  "update-unexplained": [
    "Der Agent hat keinen Grund genannt.",
    "Siehe `journalctl -u crosshaul-update` auf dem Host.",
  ],
  "update-aborted": [
    "{failed} von {total} Agenten der Stufe {stage} sind gescheitert, {agent_id} zuerst.",
    "Erst dort den Grund lesen, dann die anderen aktualisieren.",
  ],
  "update-cancelled": ["{person} hat die Aktualisierung abgebrochen."],
  "update-not-due": ["Der Agent {agent_id} ist in der Aktualisierung {update_id} noch nicht an der Reihe."],
  "update-stopped": ["Die Aktualisierung {update_id} ist beendet, ihr Zustand ist „{state}“."],
  "update-failed": [
    "Der Agent konnte die Aktualisierung nicht ausführen: {detail}",
    "Siehe `journalctl -u crosshaul-update -u crosshaul-agent` auf dem Host.",
  ],
  "update-impossible": [
    "Dieser Agent wurde nicht mit dem Installationsskript installiert und kann deshalb nicht aktualisiert werden.",
    "Den Installationsbefehl der Konsole auf dem Host ausführen, oder so aktualisieren, wie installiert wurde.",
  ],
  "updater-silent": [
    "Der Updater des Hosts hat die Aktualisierung nicht begonnen.",
    "Siehe `journalctl -u crosshaul-update` auf dem Host.",
  ],
  "update-not-installed": [
    "Die Installation von {version} ist fehlgeschlagen: {detail}",
    "Siehe `journalctl -u crosshaul-update -u crosshaul-agent` auf dem Host.",
  ],
  "update-slow": [
    "Die Installation von {version} hat länger als {seconds} Sekunden gedauert.",
    "Netz und Platte des Hosts prüfen, dann erneut aktualisieren.",
  ],
  "update-script-away": [
    "{script} kann nicht geladen werden: {detail}",
    "Das Netz vom Host zu dieser Adresse prüfen, dann erneut aktualisieren.",
  ],
  "update-misplaced": [
    "Das Skript von {version} hat nach {folder} installiert, nicht neben die anderen Versionen.",
    "Den Agenten mit dem Installationsbefehl der Konsole erneut installieren.",
  ],
  "update-other-version": [
    "Installiert wurde die Version {found}, nicht {version}.",
    "Die Version erneut veröffentlichen.",
  ],
  "update-units-not-used": [
    "Die systemd-Units von {version} können nicht eingesetzt werden: {detail}",
    "Auf dem Host läuft wieder die frühere Version. Siehe dort `journalctl -u crosshaul-update`.",
  ],
  "update-unhealthy": [
    "{version} hat sich nicht binnen {seconds} Sekunden als gesund gemeldet.",
    "Auf dem Host läuft wieder die frühere Version. Siehe dort `journalctl -u crosshaul-agent`.",
  ],
  "update-checks-failed": [
    "{version} hat sich nicht binnen {seconds} Sekunden als gesund gemeldet. Fehlgeschlagen: {checks}.",
    "Auf dem Host läuft wieder die frühere Version. Was die Prüfungen ergaben, zeigt dort `journalctl -u crosshaul-agent`.",
  ],
  "update-refused": [
    "{version} abgelehnt: der Herausgeber hat {signed} oder ein anderes Skript signiert.",
    "Die Version erneut veröffentlichen.",
  ],
  "update-unsigned": [
    "{version} abgelehnt: kein Schlüssel, dem root auf dem Host vertraut, hat sie signiert.",
    "Zuerst die Version installieren, die den neuen Schlüssel ankündigt.",
  ],
  "update-older": [
    "{version} abgelehnt: sie wurde vor der Version signiert, die der Host hat.",
    "Um zu ihr zurückzukehren, diese Version erneut veröffentlichen.",
  ],
  "update-ahead": [
    "{version} abgelehnt: sie wurde zu einer Zeit signiert, die noch nicht gekommen ist.",
    "Die Uhr des Herausgebers stellen und die Version erneut veröffentlichen.",
  ],
  "update-script-differs": [
    "{script} ist nicht, was veröffentlicht wurde: der Digest ist ein anderer.",
    "Die Version erneut veröffentlichen.",
  ],
  "update-parts-differ": [
    "{version} wurde nicht aus dem signierten Paket und der signierten Lock-Datei installiert.",
    "Die Version erneut veröffentlichen.",
  ],
  "update-rclone-differs": [
    "Das rclone von {version} hat der Herausgeber nicht signiert.",
    "Die Version erneut veröffentlichen.",
  ],
  "update-unit-differs": [
    "Die {unit} von {version} ist nicht die, die der Herausgeber signiert hat.",
    "Die Version erneut veröffentlichen.",
  ],
  "update-unpinned": [
    "Die Schlüssel des Herausgebers sind auf dem Host nicht verwendbar, deshalb lehnt er Versionen ab: {detail}",
    "Auf dem Host als root: crosshaul agent pin --release-key SCHLÜSSEL, mit dem Schlüssel, den der Herausgeber nennt.",
  ],
  "agent-removed": [
    "Der Agent {agent_id} wurde von {person} entfernt.",
    "Mit einem anderen Agenten neu starten; vollständig angekommene Dateien bleiben.",
  ],
  "agent-restarted": [
    "Der Agent {agent_id} hat sich ohne {hop} wieder verbunden, die er begonnen hatte.",
    "Sie wird automatisch erneut gesendet. Wiederholt es sich: im Log des Agenten nachsehen.",
  ],
  "agent-silent": [
    "{agent_id} hat nicht innerhalb von {seconds} s geantwortet.",
    "Erneut versuchen; die Liste der Agenten zeigt, wann er sich zuletzt gemeldet hat. Ein großes Verzeichnis auf einer langsamen Platte kann länger dauern.",
  ],
  "agent-unknown": [
    "Den Agenten {agent_id} gibt es nicht.",
    "In der Liste der Agenten nachsehen oder einen Server unter diesem Namen hinzufügen.",
  ],
  "api-address-kept": [
    "Die API ist nach {new} umgezogen, und dieser Server erreicht sie dort nicht. Der Agent bleibt bei {old}. Meldung: {reason}",
    "Namensauflösung und Firewall von diesem Server zur neuen Adresse prüfen. Der Agent versucht es weiter.",
  ],
  "api-outside-roots": [
    "{location} liegt in keiner Freigabe des Agenten {agent_id}.",
    "Einen Pfad in einer seiner Freigaben wählen: {roots}. Oder dort um eine Freigabe bitten.",
  ],
  "api-remote-unknown": [
    "Der Agent {agent_id} hat kein Remote namens {remote}.",
    "Eines von diesen verwenden: {remotes}. Oder der Administrator des Servers fügt es in agent.toml hinzu.",
  ],
  "approval-declined": [
    "{person} hat die Genehmigung abgelehnt: {reason}",
    "Darüber sprechen. Dann wiederholen, was erneut um Genehmigung bittet, oder eine andere Übertragung starten.",
  ],
  "arrival-invalid": [
    "{source} kann an {destination} nicht ankommen. Meldung: {reason}",
    "Einen anderen Pfad verwenden.",
  ],
  "arrived-damaged": [
    "{path} kam {attempts}-mal beschädigt an: Die Prüfsumme weicht von der der Quelle ab.",
    "Nichts davon wurde behalten. Den Arbeitsspeicher beider Server prüfen.",
  ],
  "both-sides-unreachable": [
    "{source} ist nicht erreichbar. Meldung: {reason}",
    "Prüfen, ob beide Agenten laufen, und den Port der Lane des einen Servers für den anderen öffnen; einer der beiden genügt (`crosshaul agent doctor` auf beiden Servern).",
  ],
  "bucket-declined": [
    "S3 verweigert Crosshaul den Zugriff auf den Bucket {bucket}.",
    "Prüfen, ob er existiert und ob seine Bucket-Richtlinie dem Konto von Crosshaul das Auflisten erlaubt.",
  ],
  "bucket-gone": [
    "Den Bucket {bucket} gibt es nicht mehr.",
    "Prüfen, ob er existiert und ob seine Bucket-Richtlinie dem Konto von Crosshaul das Auflisten erlaubt.",
  ],
  "bucket-silent": ["S3 hat für den Bucket {bucket} nicht geantwortet.", "Gleich erneut versuchen."],
  "bucket-distant": [
    "Der Bucket {bucket} ist in einer anderen Region oder einem anderen Konto als die Steuerung.",
    "Seine Ereignisse an die Steuerung weiterleiten: Nur dann starten Uploads diese Vorlage.",
  ],
  "bucket-unknown": [
    "Übertragungen können den Bucket {bucket} nicht verwenden: Er ist dafür nicht eingetragen.",
    "Eingetragene Buckets: {known}. Ein Administrator kann weitere in die Datei der Stage eintragen (stages/NAME.toml).",
  ],
  "changed-since-listed": ["{path} hat sich seit dem Auflisten geändert."],
  "checksum-needs-agents": [
    "Der Vergleich nach Prüfsumme braucht an beiden Enden einen Pfad auf einem Agenten: S3 und Remotes speichern keine solche Prüfsumme.",
    "Nach Größe und Zeit vergleichen.",
  ],
  "clock-skew": [
    "Der Befehl ist von {issued}, die Uhr dieses Servers zeigt {now}: Sie geht {behind} s nach.",
    "Die Uhr dieses Servers stellen (timedatectl status); Befehle sind nur Minuten gültig.",
  ],
  "command-before-journal": [
    "Der Befehl ist von {issued}, aus der Zeit vor dem Journal dieses Agenten ({created}); er kann schon ausgeführt sein.",
    "Nichts zu tun: Die Steuerung sendet erneut, was noch zu tun ist.",
  ],
  "command-expired": [
    "Der Befehl ist um {expired} abgelaufen, die Uhr dieses Servers zeigt {now}.",
    "Die Uhr dieses Servers stellen (timedatectl status); Befehle sind nur Minuten gültig.",
  ],
  "command-key-unknown": [
    "Der Befehl ist mit dem unbekannten Schlüssel {kid} signiert.",
    "Diesen Agenten neu registrieren, falls der Signaturschlüssel der Steuerung ersetzt wurde.",
  ],
  "command-misdelivered": ["Der Befehl ist nicht für {agent_id}."],
  "command-not-understood": [
    "Der Befehl ist nicht verständlich. Meldung: {reason}",
    "Den Agenten auf diesem Server auf die Version der Steuerung aktualisieren.",
  ],
  "command-replayed": ["Der Befehl wurde schon ausgeführt; jeder wird einmal angenommen."],
  "command-too-large": ["Die Nachricht hat {size} Bytes, erlaubt sind {limit}."],
  "command-too-long": [
    "Der Befehl an den Agenten {agent_id} hätte {size} Bytes, erlaubt sind {limit}.",
    "Weniger oder kürzere Filter oder kürzere Pfade verwenden.",
  ],
  cursor: ["Der Cursor in `next` ist ungültig.", "Mit der ersten Seite neu beginnen, ohne `next`."],
  "delete-extra-in-template": [
    "Eine Vorlage kann überzählige Dateien nicht löschen: Sie sendet einzelne Objekte, und alle anderen würden gelöscht.",
    "Die Einstellung weglassen oder das ganze Präfix mit einer eigenen Übertragung spiegeln.",
  ],
  "delete-extra-needs-agents": [
    "Überzählige Dateien lassen sich nur löschen, wenn jedes Ziel ein Pfad auf einem Agenten ist.",
    "Dort mit einer Lifecycle-Regel des Buckets oder den Mitteln des Remotes löschen.",
  ],
  "deletion-interrupted": [
    "Alle Dateien sind übertragen, aber an {source} wurden nicht alle gelöscht. Meldung: {reason}",
    "Die Übertragung läuft automatisch weiter, sobald die Quelle erreichbar ist.",
  ],
  "destination-changed": [
    "{path} wurde übertragen und an der Quelle gelöscht und fehlt jetzt am Ziel.",
    "Herausfinden, welche Person oder welches Programm es am Ziel verschoben oder gelöscht hat.",
  ],
  "destination-exists": [
    "{path} existiert bereits und unterscheidet sich von der Datei der Quelle.",
    "Die vorhandene Datei verschieben oder eine andere Einstellung zum Überschreiben wählen.",
  ],
  "destination-full": [
    "Auf {path} ist kein Platz mehr.",
    "Platz schaffen; die Übertragung läuft dann automatisch weiter.",
  ],
  "destination-object-exists": [
    "{path} existiert und unterscheidet sich von der Quelle.",
    "Das vorhandene Objekt verschieben oder eine andere Einstellung zum Überschreiben wählen.",
  ],
  "destination-read-only": [
    "{path} liegt auf einem Dateisystem, das nur lesbar ist.",
    "Es zum Schreiben einhängen.",
  ],
  "destination-unreachable": [
    "Die Quelle konnte sich nicht mit {agent_id} verbinden. Meldung: {reason}",
    "Nichts zu tun, wenn sich {agent_id} mit der Quelle verbinden kann: Eine Richtung genügt.",
  ],
  "dry-run-unsupported": [
    "Der Agent {agent_id} hat die Version {version}, die keine Vorschau nach {destination} kann.",
    "Den Agenten aktualisieren oder die Übertragung ohne Vorschau starten.",
  ],
  "duplicate-destination": [
    "Das Ziel {destination} ist mehrfach angegeben.",
    "Jedes Ziel nur einmal angeben.",
  ],
  "ended-before-cancel": [
    "Die Übertragung {transfer_id} hat den Zustand „{state}“ und kann nicht abgebrochen werden.",
    "Angekommene Dateien bleiben am Ziel; dort löschen, wenn sie nicht gebraucht werden.",
  ],
  "ended-before-pause": [
    "Die Übertragung {transfer_id} hat den Zustand „{state}“ und kann nicht pausiert werden.",
    "Es gibt nichts mehr zu pausieren.",
  ],
  "ended-before-resume": [
    "Die Übertragung {transfer_id} hat den Zustand „{state}“ und kann nicht fortgesetzt werden.",
    "Eine fehlgeschlagene oder abgebrochene Übertragung stattdessen wiederholen.",
  ],
  "drain-over": [
    "{until} ist vorbei.",
    "Einen späteren Zeitpunkt angeben, oder keinen: dann gilt die Sperre, bis jemand sie aufhebt.",
  ],
  endpoint: [
    "{endpoint} ist keine gültige Adresse.",
    "Als Host:Port schreiben, bei IPv6 als [Adresse]:Port. Link-Local- und Multicast-Adressen werden nie verwendet.",
  ],
  "enrollment-token": [
    "Das Token ist unbekannt, schon verwendet oder abgelaufen.",
    "Einen Administrator um ein neues bitten: crosshaul agents enroll NAME.",
  ],
  "extra-files-in-source": [
    "Überzählige Dateien an {destination} liegen auch in der Quelle: Beide teilen sich ein Verzeichnis unter zwei Pfaden. Nichts wurde gelöscht.",
    "Überzählige Dateien nicht löschen lassen oder Orte wählen, die nichts gemeinsam haben. Prüfen, welche Links oder Mounts vom einen zum anderen führen.",
  ],
  "extra-files-unproven": [
    "Alle Dateien sind übertragen, aber keine überzählige wurde gelöscht: {path} enthält Dateien, die der Quelle fehlen, und der Agent kann nicht ausschließen, dass es zur Quelle gehört. Meldung: {reason}",
    "Dem Agenten am Ziel dort Schreibrecht geben oder das Verzeichnis mit einem Filter ausschließen.",
  ],
  "file-above-in-the-way": [
    "{path} kann nicht geschrieben werden: Es oder ein Verzeichnis darüber wird als Verzeichnis benötigt und ist eine Datei.",
    "Diese Datei verschieben oder ein anderes Ziel wählen.",
  ],
  "file-in-the-way": [
    "{obstacle} ist kein Verzeichnis, aber dorthin gehört eines.",
    "Es verschieben oder eines von beiden umbenennen.",
  ],
  "file-too-large": ["{path} ist größer, als das Dateisystem am Ziel erlaubt.", "Ein anderes Ziel wählen."],
  "files-failed": [
    "{failed} von {total} Dateien sind nicht angekommen.",
    "Die Ursache jeder Datei beheben, dann wiederholen: Nur diese Dateien werden erneut gesendet.",
  ],
  "files-failed-with-advice": [
    "{failed} von {total} Dateien sind nicht angekommen.",
    "Die Ursache jeder Datei beheben, dann wiederholen: Nur diese Dateien werden erneut gesendet.",
  ],
  "filter-refused": [
    "Die Filter können nicht verwendet werden. Meldung: {reason}",
    "Die Übertragung mit anderen Filtern neu anlegen oder die Vorlage ändern.",
  ],
  "forbidden-by-policy": [
    "{person} darf das nicht ({action}: {object}). Verboten durch: {names}.",
    "Einen Administrator nach dem Grund fragen.",
  ],
  "helper-failing": [
    "Ein Teil des Agenten ({helper}) ist {failures}-mal nacheinander fehlgeschlagen. Meldung: {reason}",
    "Etappen laufen weiter. Im Log des Agenten (journalctl -u crosshaul-agent) auf diesem Server nachsehen.",
  ],
  "hop-not-reported": [
    "Der Agent {agent_id} hat {seconds} s lang nichts über {hop} gemeldet.",
    "In der Liste der Agenten nachsehen, ob er verbunden ist; die Etappe läuft weiter, wenn er wieder da ist.",
  ],
  "hop-not-under-way": [
    "Der Agent {agent_id} überträgt die Etappe {hop_id} nicht von oder nach S3.",
    "Auf den Befehl für die Etappe warten. Sie kann pausiert oder beendet sein oder zu einem anderen Agenten gehören.",
  ],
  "idempotency-key-reused": ["{detail}", "Mit jeder neuen Anfrage einen neuen Schlüssel senden."],
  "in-the-way": [
    "{path} existiert bereits und ist im Weg.",
    "Es verschieben oder eines von beiden umbenennen.",
  ],
  "inodes-exhausted": [
    "{path} hat keine Inodes mehr: Das Dateisystem kann keine weitere Datei aufnehmen, wie viel Platz auch frei ist.",
    "Dort nicht benötigte Dateien löschen, zuerst viele kleine (`df -i` zeigt die Inodes); die Übertragung läuft dann automatisch weiter.",
  ],
  internal: [
    "Interner Fehler der Steuerung. Die Nummer der Anfrage ist {request_id}.",
    "Erneut versuchen; bleibt der Fehler, einem Administrator die Nummer nennen: Die Ursache steht im Log.",
  ],
  "invalid-body": ["Die Eingabe ist ungültig. Meldung: {first}", "Bitte korrigieren und erneut senden."],
  "invalid-query": [
    "Die Abfrage ist ungültig. Meldung: {first}",
    "Korrigieren und erneut senden; GET /openapi.json beschreibt alle Parameter.",
  ],
  "io-error": [
    "{path} kann nicht verwendet werden. Meldung: {reason}",
    "Im Systemlog dieses Servers nachsehen.",
  ],
  "is-a-directory": [
    "{path} ist ein Verzeichnis, aber dorthin gehört eine Datei.",
    "Es verschieben oder eines von beiden umbenennen.",
  ],
  "lane-key-unusable": [
    "Dieser Agent kann anderen Agenten weder Dateien senden noch welche von ihnen holen. Meldung: {reason}",
    "Diesen Agenten neu starten: Er erstellt ein neues Zertifikat für die Lane. Die Platte dieses Servers prüfen lassen.",
  ],
  "outcome-unreadable": [
    "Was der Agent darüber festgehalten hatte, ist nicht mehr lesbar.",
    "Prüfen, ob die Datei am Ziel ist. Die Platte des Servers dieses Agenten prüfen lassen.",
  ],
  "ledger-damaged": [
    "{ledger}, worin der Agent festhält, was übertragen ist, ist nicht mehr lesbar. Meldung: {reason}",
    "Der nächste Versuch vergleicht mit den Dateien am Ziel. Die Platte dieses Servers prüfen lassen.",
  ],
  "left-out": [
    "{path} wurde nicht hochgeladen: rclone hat es ohne Fehlermeldung ausgelassen.",
    "Es wird automatisch erneut versucht. Wiederholt es sich: die Datei umbenennen.",
  ],
  "link-in-the-way": [
    "{obstacle} ist ein symbolischer Link, aber dorthin gehört ein Verzeichnis.",
    "Den Link entfernen oder das Verzeichnis, auf das er zeigt, als Ziel einer anderen Übertragung verwenden. Es wurde nicht verändert.",
  ],
  "link-leaves-root": [
    "{path}: Ein symbolischer Link führt aus der Freigabe hinaus.",
    "Einen Pfad in einer Freigabe verwenden.",
  ],
  "link-loop": [
    "{path} ist ein symbolischer Link auf ein Verzeichnis, das ihn enthält.",
    "Symbolische Links behalten oder überspringen (--symlinks keep oder skip).",
  ],
  "link-without-file": [
    "{path} ist ein Hardlink auf {first}, und diese Datei fehlt.",
    "Die Ursache bei dieser Datei beheben, dann wiederholen.",
  ],
  "links-in-a-circle": [
    "{path} ist ein symbolischer Link, der auf sich selbst zurückführt.",
    "Symbolische Links behalten oder überspringen (--symlinks keep oder skip).",
  ],
  "listed-size-too-large": [
    "Die Quelle gibt für {path} {size} Bytes an, mehr als eine Datei haben kann.",
    "An der Quelle prüfen oder mit --exclude auslassen.",
  ],
  "local-source-kept-changed": [
    "{path} änderte sich nach dem Lesen und bleibt an der Quelle.",
    "Erneut übertragen.",
  ],
  "locations-overlap": [
    "Quelle {source} und Ziel {destination} überschneiden sich: Ein Ort liegt im anderen.",
    "Ein Ziel wählen, das weder in der Quelle liegt noch sie enthält.",
  ],
  "longer-than-transferred": [
    "{path} ist länger als 64 TiB, oder länger als 32 TiB und nach Prüfsumme zu vergleichen.",
    "Besteht die Datei größtenteils aus einem Loch, sie an der Quelle kürzen.",
  ],
  malformed: ["Ungültige Anfrage über die Lane. Meldung: {reason}"],
  "manifest-not-wanted": [
    "Der Agent {agent_id} hat die Etappe {hop_id} in letzter Zeit nicht ausgeführt.",
    "Ein Manifest wird vom ersten Angebot der Etappe bis {days} Tage nach ihrem Ende angenommen.",
  ],
  "mounted-twice": [
    "{mounted} und {other} sind dasselbe Verzeichnis, zweimal eingehängt.",
    "Eines von beiden aushängen oder mit --exclude auslassen. Unter diesem Pfad wurde nichts geschrieben.",
  ],
  "move-and-delete-extra": [
    "Verschieben und das Löschen überzähliger Dateien schließen sich aus: Verschobene Dateien würden beim nächsten Mal am Ziel gelöscht.",
    "Nur eines von beiden verwenden.",
  ],
  "move-from-agent-only": [
    "Verschieben braucht als Quelle einen Pfad auf einem Agenten: In S3 und auf Remotes wird nichts gelöscht.",
    "Kopieren und die Quelle mit einer Lifecycle-Regel oder den Mitteln des Remotes löschen.",
  ],
  "move-from-read-only": [
    "{location} ist nur lesbar; beim Verschieben könnten die Dateien dort nicht gelöscht werden.",
    "Stattdessen kopieren. Oder der Administrator des Quellservers erlaubt in agent.toml das Schreiben.",
  ],
  "move-to-agent-only": [
    "Verschieben braucht als Ziel einen Pfad auf einem Agenten.",
    "Kopieren, dann die Quelle löschen.",
  ],
  "move-to-one-only": [
    "Verschieben erlaubt nur ein Ziel, nicht {count}.",
    "An alle Ziele kopieren und die Quelle löschen, wenn alle Kopien vollständig sind.",
  ],
  "name-collision": [
    "{path} und {other} sind für das Dateisystem derselbe Name.",
    "Eines von beiden umbenennen oder ein Ziel wählen, das sie unterscheidet. Die vorhandene Datei wurde nicht verändert.",
  ],
  "name-not-utf8": [
    "Der Name {path} enthält Bytes, die kein UTF-8 sind, und rclone würde einen anderen verwenden.",
    "Die Datei umbenennen, etwa mit convmv.",
  ],
  "name-not-allowed": [
    "{path} hat einen Namen, den das Dateisystem des Ziels nicht erlaubt oder ändern würde.",
    "Umbenennen: Windows, FAT, exFAT und viele Netzlaufwerke verbieten einige Zeichen sowie einen Punkt oder ein Leerzeichen am Ende. Oder ein Ziel auf einem Linux-Dateisystem wählen.",
  ],
  "name-too-long": ["Ein Name in {path} ist für das Dateisystem zu lang.", "Den Namen kürzen."],
  "no-agent-involved": [
    "{source} → {destination}: Daran ist kein Agent beteiligt.",
    "Innerhalb von S3 kopieren (Replikation oder `aws s3 cp`) oder einen Agenten als Ziel wählen.",
  ],
  "no-ranges": [
    "Der Server von {path} unterstützt keine Teilabrufe, und die Datei ist zu groß, um sie auf einmal zu lesen.",
    "Teilabrufe auf dem Server einschalten oder die Datei auf anderem Weg kopieren.",
  ],
  "no-such-method": ["{route} kennt {method} nicht.", "Erlaubt: {allowed}."],
  "no-such-route": ["Die API hat kein {method} {route}.", "GET /openapi.json nennt alle Pfade."],
  "no-version-published": [
    "Es wurde noch keine Version des Agenten veröffentlicht.",
    "Eine veröffentlichen: python -m infra.publish stage STAGE --key DATEI (docs/guides).",
  ],
  "not-a-directory": ["{path} ist kein Verzeichnis.", "Eine Datei ohne Schrägstrich am Ende angeben."],
  "not-a-path": [
    "Der Schlüssel {path} kann kein Dateiname sein.",
    "Dem Objekt einen anderen Schlüssel geben.",
  ],
  "not-awaiting-approval": [
    "Die Übertragung {transfer_id} wartet nicht auf Genehmigung; ihr Zustand ist „{state}“.",
    "Es gibt nichts zu genehmigen.",
  ],
  "not-browsable": ["{path} ist kein Verzeichnis.", "Das Verzeichnis darüber ansehen."],
  "not-failed": [
    "Die Übertragung {transfer_id} ist nicht fehlgeschlagen; ihr Zustand ist „{state}“.",
    "Es gibt nichts zu quittieren.",
  ],
  "not-for-remote": [
    "{path} ist ein symbolischer Link; das kann {backend} nicht speichern.",
    "Symbolischen Links folgen oder sie überspringen.",
  ],
  "not-for-s3": [
    "{path} ist ein symbolischer Link; das kann {backend} nicht speichern.",
    "Symbolischen Links folgen oder sie überspringen.",
  ],
  "not-found": ["{value} ist kein gültiger Name dafür.", "Die Schreibweise prüfen."],
  "not-permitted": [
    "{person} darf das nicht ({action}: {object}): Keine Richtlinie erlaubt es.",
    "Einen Administrator um eine Gruppe oder eine Richtlinie bitten, die es erlaubt.",
  ],
  "not-readable": ["{path} kann nicht gelesen werden. Meldung: {reason}", "Im Log des Agenten nachsehen."],
  "not-readable-by-user": [
    "{path}: Der Agent darf das nicht lesen.",
    "Dem Benutzer des Agenten Zugriff geben.",
  ],
  "not-served": [
    "Etappe {hop_id} wird hier nicht oder nicht für diesen Agenten bedient, oder sie ist beendet.",
  ],
  "not-signed-in": ["Sie sind nicht angemeldet.", "Bitte anmelden."],
  "not-to-remove": ["Etappe {hop_id} kopiert nur und darf hier keine Dateien löschen."],
  "nothing-to-decline": [
    "Die Übertragung {transfer_id} wartet nicht auf Genehmigung; ihr Zustand ist „{state}“.",
    "Es gibt nichts abzulehnen.",
  ],
  "nothing-to-retry": [
    "Die Übertragung {transfer_id} hat den Zustand „{state}“ und kann nicht wiederholt werden.",
    "Nur fehlgeschlagene oder abgebrochene Etappen können wiederholt werden. Eine pausierte Übertragung fortsetzen.",
  ],
  "nothing-to-update": [
    "Alle gewählten Agenten haben bereits die Version {version}.",
    "Es ist nichts zu tun.",
  ],
  "object-kept": [
    "{path} ist angekommen, wurde aber an der Quelle nicht gelöscht.",
    "Mit einer Lifecycle-Regel des Buckets löschen.",
  ],
  "object-not-a-directory": [
    "{path} ist eine Datei, kein Verzeichnis.",
    "Den Schrägstrich am Ende weglassen.",
  ],
  "objects-missing": [
    "{path} existiert nicht oder ist leer.",
    "Bucket und Präfix oder Remote und Pfad prüfen.",
  ],
  "objects-need-s3": [
    "storage_class und object_tags brauchen ein Ziel s3://…: nur Objekte in S3 haben sie.",
    "Beide weglassen oder einen Bucket als Ziel wählen.",
  ],
  "only-compared": ["Etappe {hop_id} ist eine Vorschau; für sie werden keine Inhalte gesendet."],
  "outside-roots": [
    "{path} liegt in keiner Freigabe dieses Agenten.",
    "Seine Freigaben: {roots}. Der Administrator des Servers kann in agent.toml eine hinzufügen.",
  ],
  "own-decline": [
    "{person} hat die Übertragung {transfer_id} selbst angefordert und kann sie nicht ablehnen.",
    "Sie stattdessen abbrechen.",
  ],
  "own-approval": [
    "{person} hat die Übertragung {transfer_id} selbst angefordert und kann sie nicht genehmigen.",
    "Eine andere Person bitten, die diese Dateien übertragen darf.",
  ],
  "owner-needs-agents": [
    "Eigentümer lassen sich nur übertragen, wenn an beiden Enden ein Pfad auf einem Agenten ist: S3 und Remotes kennen keine Benutzer eines Servers.",
    "Die Eigentümer nicht übertragen.",
  ],
  "owner-not-allowed": [
    "Der Agent von {destination} darf den Eigentümer von Dateien nicht ändern.",
    "Ihn als root ausführen, ihm CAP_CHOWN geben (docs/guides/agent.md) oder die Eigentümer nicht übertragen.",
  ],
  "owners-not-reported": [
    "Der Agent von {source} meldet die Eigentümer seiner Dateien nicht.",
    "Diesen Agenten aktualisieren oder die Eigentümer nicht übertragen.",
  ],
  "path-leaves-root": [
    "{path} führt aus dem Ort oder der Freigabe hinaus oder in eine Freigabe, die nur lesbar ist.",
    "Einen Pfad in einer Freigabe des Agenten angeben. Wo Links gefolgt wird, dürfen sie nicht aus dem Ort hinausführen.",
  ],
  "path-missing": ["{path}: Dieses Verzeichnis gibt es nicht.", "Den Pfad prüfen."],
  "path-through-link": [
    "{path} führt durch einen symbolischen Link.",
    "Einen Pfad ohne symbolische Links verwenden. Der Administrator des Servers kann sie für eine Freigabe mit `links = true` in agent.toml zulassen.",
  ],
  "path-too-long": ["{path}: Ein Name darin ist zu lang.", "Den Pfad prüfen."],
  "peer-certificate": [
    "Das Zertifikat von {agent_id} für die Lane ist nicht lesbar.",
    "Diesen Agenten neu registrieren.",
  ],
  "permission-denied": ["Der Benutzer des Agenten hat keinen Zugriff auf {path}.", "Ihm Zugriff geben."],
  "person-unknown": [
    "Zur E-Mail-Adresse {address} gibt es kein Konto.",
    "Die Schreibweise prüfen. Für eine Person, die gegangen ist oder jetzt eine andere Adresse hat, ihre ID angeben: Das Audit-Protokoll zeigt sie.",
  ],
  "policy-exists": [
    "Die Richtlinie {policy_id} existiert bereits.",
    "Einen anderen Namen wählen oder die vorhandene ändern.",
  ],
  "policy-invalid": ["Die Richtlinie ist ungültig. Meldung: {errors}"],
  "policy-lockout": [
    "Nach dieser Änderung könnte {person} Richtlinien nicht mehr ändern, auch nicht diese Änderung zurücknehmen.",
    "Eine Richtlinie behalten, die Ihnen manage_policy erlaubt, oder die Änderung einem anderen Administrator überlassen.",
  ],
  "policy-unknown": ["Die Richtlinie {policy_id} gibt es nicht.", "In der Liste der Richtlinien nachsehen."],
  "prefix-too-long": [
    "Das Präfix von {end} ist zu lang für die Zugangsdaten dieser Übertragung: Ihre Richtlinie hätte {size} Zeichen, erlaubt sind {limit}.",
    "Ein kürzeres Präfix verwenden: Jedes nicht lateinische Zeichen zählt sechsfach.",
  ],
  "previous-hop-ended": [
    "{hop} setzt {previous} fort, und deren Zustand ist „{state}“.",
    "Das Problem von {previous} beheben, dann die Übertragung wiederholen.",
  ],
  "previous-hop-incomplete": [
    "{hop} hat weitergeleitet, was bei {previous} ankam; dort sind {failed} andere Dateien nicht angekommen.",
    "Das Problem von {previous} beheben, dann die Übertragung wiederholen.",
  ],
  "previous-hop-not-running": [
    "Die Etappe, die diese Dateien nach {endpoint} kopiert, läuft nicht.",
    "Nichts zu tun: Diese Etappe läuft weiter, sobald jene weiterläuft.",
  ],
  "quota-exceeded": [
    "{path} überschreitet die Quota.",
    "Platz schaffen; die Übertragung läuft dann automatisch weiter.",
  ],
  "rclone-config-missing": [
    "Die Konfiguration von rclone auf dem Server dieses Agenten gibt es nicht: {file}.",
    "Der Administrator des Servers kann sie mit `rclone config` anlegen oder rclone_config in agent.toml auf eine andere Datei setzen.",
  ],
  "rclone-missing": [
    "Auf dem Server dieses Agenten ist rclone nicht installiert.",
    "Dort rclone 1.69 oder neuer installieren, dann `crosshaul agent doctor` ausführen.",
  ],
  "read-only-remote": ["{path} ist nur lesbar.", "Ein anderes Ziel wählen."],
  "read-only-root": [
    "{path} liegt in der Freigabe {root}, die nur lesbar ist.",
    "Beschreibbare Freigaben: {roots}.",
  ],
  refused: ["{detail}", "Die Anfrage mit GET /openapi.json vergleichen."],
  remounted: [
    "{path} ist auf einem anderen Dateisystem als zu Beginn der Übertragung.",
    "Den richtigen Datenträger dort einhängen, dann die Übertragung wiederholen.",
  ],
  "remote-denied": [
    "{path} verweigert dem Server dieses Agenten den Zugriff.",
    "Der Administrator des Servers erneuert den Zugang mit `rclone config reconnect` oder `rclone config`.",
  ],
  "remote-failed": [
    "rclone ist an {path} gescheitert. Meldung: {reason}",
    "Es wird automatisch erneut versucht. Wiederholt es sich: `rclone lsf` auf dem Server des Agenten versuchen.",
  ],
  "remote-not-described": [
    "Die Konfiguration von rclone beschreibt {path} nicht richtig.",
    "Auf dem Server des Agenten `rclone config show` prüfen, dann `crosshaul agent doctor` ausführen.",
  ],
  "remote-not-writable": [
    "{path} liegt auf dem Remote {remote}, das nur lesbar ist.",
    "Beschreibbare Remotes: {remotes}.",
  ],
  "remote-of-another-agent": [
    "{source} → {destination}: {location} ist nur von einem Pfad auf dem Agenten {agent_id} aus erreichbar.",
    "Eine Kette über einen Pfad auf diesem Agenten verwenden: {source} → {agent_id}:/… → {destination}.",
  ],
  "remote-read-only": [
    "{location} ist nur lesbar: In das Remote {remote} des Agenten {agent_id} darf nicht geschrieben werden.",
    "Eines von diesen verwenden: {remotes}. Oder der Administrator des Servers erlaubt in agent.toml das Schreiben.",
  ],
  "remote-slow": [
    "Das Auflisten von {path} dauerte zu lange.",
    "Erneut versuchen oder den Pfad eingeben: Für Übertragungen gilt diese Zeitgrenze nicht.",
  ],
  "remote-source-missing": ["{path} existiert nicht.", "Remote und Pfad prüfen."],
  "remote-unknown": [
    "Dieser Agent hat kein Remote namens {remote}.",
    "Seine Remotes: {remotes}. Der Administrator des Servers kann in agent.toml eines hinzufügen.",
  ],
  "remotes-not-listed": [
    "Der Agent {agent_id} hat die Version {version} und kann die Verzeichnisse eines Remotes nicht auflisten.",
    "Den Agenten aktualisieren oder den Pfad von Hand eingeben: Übertragungen dorthin funktionieren.",
  ],
  "replaced-by-special-file": [
    "{path} war beim Auflisten eine Datei und wurde seitdem durch ein Verzeichnis, ein Gerät, einen Socket oder eine FIFO ersetzt.",
    "Erneut übertragen oder mit --exclude auslassen.",
  ],
  "request-too-long": [
    "Quelle, Ziele und Einstellungen haben zusammen {size} Bytes, erlaubt sind {limit}.",
    "Weniger Ziele oder kürzere Pfade verwenden.",
  ],
  "reserved-name": [
    "{path} wird ausgelassen: Namen, die mit .crosshaul- beginnen, verwendet Crosshaul für eigene Dateien.",
    "Zum Übertragen umbenennen.",
  ],
  "retry-too-early": [
    "Die Übertragung {transfer_id} hat den Zustand „{state}“ und kann nicht wiederholt werden.",
    "Eine spätere Etappe überträgt noch, was die fehlgeschlagene geliefert hat. Wiederholen, wenn sie beendet ist, oder die Übertragung zuerst abbrechen.",
  ],
  "rollout-over": [
    "Dem Rollout {rollout_id} können keine Server mehr beitreten.",
    "Einen Administrator um ein neues bitten: crosshaul agents rollout --name MUSTER --count N.",
  ],
  "rollout-unknown": ["Das Rollout {rollout_id} gibt es nicht.", "In der Liste der Rollouts nachsehen."],
  "root-read-only": [
    "{location} ist nur lesbar: In die Freigabe {root} des Agenten {agent_id} darf nicht geschrieben werden.",
    "Ein Ziel in einer dieser Freigaben wählen: {roots}. Oder der Administrator des Servers erlaubt in agent.toml das Schreiben.",
  ],
  "s3-archived": [
    "{path} ist archiviert; S3 gibt es erst heraus, wenn es wiederhergestellt ist.",
    "Es wiederherstellen (aws s3api restore-object), dann erneut übertragen.",
  ],
  "s3-bucket-missing": ["Den Bucket von {path} gibt es nicht.", "Den Namen des Buckets prüfen."],
  "s3-bucket-refused": [
    "S3 bedient den Bucket von {path} nicht. Meldung: {reason}",
    "Den Namen des Buckets prüfen und den Zustand des AWS-Kontos, dem er gehört.",
  ],
  "s3-clock-skew": [
    "S3 lehnt Anfragen dieses Servers ab, weil seine Uhr falsch geht.",
    "Die Uhr stellen: timedatectl status.",
  ],
  "s3-credentials-refused": [
    "S3 akzeptiert die Zugangsdaten für {path} nicht mehr.",
    "Der Agent hat sie verworfen; die Etappe wird mit neuen erneut versucht. Wiederholt es sich: Vertrauensstellung und Rechte der Objektrolle prüfen.",
  ],
  "s3-denied": [
    "S3 verweigert diesem Agenten den Zugriff auf {path}.",
    "Den Bucket in die Datei der Stage (stages/NAME.toml) eintragen, neu deployen und seine Richtlinie prüfen.",
  ],
  "s3-failed": [
    "Ein Zugriff auf {path} in S3 ist fehlgeschlagen. Meldung: {reason}",
    "Es wird automatisch erneut versucht. Wiederholt es sich: im Log des Agenten nachsehen.",
  ],
  "s3-name-not-utf8": [
    "Der Name {path} enthält Bytes, die kein UTF-8 sind; S3 nimmt ihn nicht an.",
    "Die Datei umbenennen, etwa mit convmv.",
  ],
  "s3-name-too-long": [
    "{path} würde ein Objekt mit einem Schlüssel von mehr als 1.024 Bytes; S3 nimmt es nicht an.",
    "Den Namen kürzen oder unter ein kürzeres Präfix übertragen.",
  ],
  "s3-object-denied": [
    "S3 gibt diesem Agenten {path} nicht: Es existiert nicht mehr, oder eine Richtlinie verbietet es.",
    "Nichts zu tun, wenn es absichtlich gelöscht wurde; sonst die Richtlinie des Buckets prüfen.",
  ],
  "s3-object-refused": [
    "S3 lehnt die Anfrage nach {path} ab. Meldung: {reason}",
    "Prüfen, wie es verschlüsselt ist: Crosshaul hat keinen Schlüssel eines Kunden (SSE-C).",
  ],
  "s3-option-refused": [
    "Der Bucket nimmt {path} mit den Optionen der Übertragung nicht an. Meldung: {reason}",
    "Speicherklasse und Tags weglassen oder solche wählen, die der Bucket annimmt.",
  ],
  "s3-other-region": [
    "Der Bucket von {path} liegt nicht in der Region der Stage.",
    "Einen Bucket in dieser Region verwenden: `python -m infra.buckets check` zeigt die Region jedes Buckets.",
  ],
  "s3-source-missing": ["{path} existiert nicht.", "Bucket und Präfix prüfen."],
  "same-directory-twice": [
    "{path} und ein anderes Verzeichnis am Ziel sind ein und dasselbe unter zwei Namen; eine Datei kann also eine andere ersetzt haben. Nichts wurde gelöscht.",
    "Den Link oder Mount finden, der beide verbindet, und an ein Ziel ohne ihn verschieben.",
  ],
  "same-file": [
    "{path} bleibt an der Quelle: Am Ziel ist dieselbe Datei oder eine im selben Verzeichnis unter einem anderen Pfad.",
    "Nichts zu tun, wenn sie dorthin gehört. Sonst prüfen, welche Links oder Mounts vom einen zum anderen führen.",
  ],
  "same-location": ["Quelle {source} und Ziel {destination} sind derselbe Ort.", "Ein anderes Ziel wählen."],
  "same-place": [
    "{path} und das Ziel sind dasselbe Verzeichnis, oder eines enthält das andere.",
    "Ein Ziel außerhalb der Quelle wählen. Prüfen, ob Links oder Mounts vom einen zum anderen führen oder beide Server dieselbe Platte einhängen.",
  ],
  "selected-object-missing": [
    "{path} existiert nicht mehr.",
    "Nichts zu tun, wenn es absichtlich gelöscht wurde.",
  ],
  "shipped-policy-exists": [
    "Die Richtlinie {policy_id} existiert bereits: Sie wird mit Crosshaul geliefert.",
    "Einen anderen Namen wählen oder die vorhandene ändern.",
  ],
  "size-unknown": [
    "Die Größe von {path} ist erst nach dem Lesen bekannt, und dafür hat die Platte dieses Agenten zu wenig Platz.",
    "Platz auf der Platte mit dem Zustandsverzeichnis des Agenten schaffen, das Dokument als Datei exportieren oder mit --exclude auslassen.",
  ],
  "source-changed": ["{path} änderte sich, während es gelesen wurde."],
  "source-empty": [
    "An {source} ist keine Datei, also wird am Ziel nichts gelöscht.",
    "Soll das Ziel geleert werden, die Dateien dort löschen. Wenn nicht: prüfen, ob die Quelle die richtige und eingehängt ist.",
  ],
  "source-kept": [
    "{path} bleibt an der Quelle. Meldung: {reason}",
    "Die Datei am Ziel prüfen, dann erneut übertragen.",
  ],
  "source-kept-changed": [
    "{path} änderte sich nach dem Lesen und wurde an der Quelle nicht gelöscht.",
    "Erneut verschieben.",
  ],
  "source-kept-undeletable": [
    "{path} ist angekommen, konnte aber an der Quelle nicht gelöscht werden.",
    "Dem Agenten der Quelle Schreibrecht geben.",
  ],
  "source-misbehaved": [
    "Der Agent an {endpoint} hat das Protokoll der Lane verletzt. Meldung: {reason}",
    "Prüfen, ob beide Agenten dieselbe Version haben, und im Log der Quelle nachsehen.",
  ],
  "source-missing": ["{path} existiert nicht.", "Den Pfad prüfen."],
  "source-permission-denied": ["{path} kann nicht gelesen werden.", "Dem Agenten der Quelle Zugriff geben."],
  "source-too-old": [
    "Der Agent an {endpoint} ist zu alt, um zu prüfen, ob Quelle und Ziel sich ein Verzeichnis teilen; deshalb wurde an der Quelle nichts gelöscht. Alle Dateien sind angekommen.",
    "Den Agenten der Quelle aktualisieren, dann wiederholen.",
  ],
  "source-unreachable": [
    "{source} ist nicht erreichbar. Meldung: {reason}",
    "Prüfen, ob der Agent der Quelle läuft und der Port seiner Lane von hier aus offen ist (`crosshaul agent doctor` auf beiden Servern).",
  ],
  "source-unreachable-for-check": [
    "Alle Dateien sind übertragen, aber an {destination} wurde keine überzählige gelöscht: Der Agent konnte nicht mit {source} prüfen, dass keine davon zur Quelle gehört. Meldung: {reason}",
    "Die Übertragung läuft automatisch weiter, sobald die Quelle erreichbar ist.",
  ],
  "source-unreadable": [
    "{path} kann an der Quelle nicht gelesen werden.",
    "Die Platte des Quellservers prüfen (dmesg), und ob der Pfad noch der einer Datei ist.",
  ],
  "source-vanished": [
    "{path} wurde gelöscht, bevor es gelesen war.",
    "Nichts zu tun, wenn es absichtlich gelöscht wurde.",
  ],
  "special-file": [
    "{path} ist ein Gerät, ein Socket oder eine FIFO und lässt sich nicht übertragen.",
    "Aus der Quelle entfernen oder mit --exclude auslassen.",
  ],
  stale: ["Es wurde gleichzeitig von anderer Stelle geändert.", "Erneut versuchen."],
  "state-damaged": [
    "Der Agent konnte {count} Dateien seines Zustands nicht verwenden; sie liegen jetzt in {path}: {names}",
    "Er arbeitet ohne sie. Gründe stehen in seinem Log. Die Platte prüfen lassen, dann die Dateien löschen.",
  ],
  "state-disk-full": [
    "Auf {path}, wo der Agent am Ziel festhält, was übertragen ist, ist kein Platz mehr.",
    "Platz auf dieser Platte schaffen; die Übertragung läuft dann automatisch weiter.",
  ],
  "still-arriving": ["{path} wird hier noch von einer anderen Etappe geschrieben."],
  "template-exists": [
    "Die Vorlage {template_id} existiert bereits.",
    "Einen anderen Namen wählen oder die vorhandene ändern.",
  ],
  "template-loop": [
    "Objekte, die {template_id} nach S3 schreibt, würden sie erneut auslösen: {loop}.",
    "In ein Präfix oder einen Bucket schreiben, der keine Vorlage dieser Schleife auslöst.",
  ],
  "template-misnamed": [
    "Im Text heißt die Vorlage {name}, in der Adresse {template_id}.",
    "An beiden Stellen denselben Namen verwenden. Zum Umbenennen eine neue Vorlage anlegen und die alte entfernen.",
  ],
  "template-unknown": ["Die Vorlage {template_id} gibt es nicht.", "In der Liste der Vorlagen nachsehen."],
  "thing-foreign": [
    "In IoT Core gibt es bereits ein Thing {thing}, das die Stage {stage} nicht angelegt hat. Es wurde nicht verändert.",
    "Klären, wem es gehört. Wird es nicht gebraucht, in AWS löschen und erneut versuchen, sonst einen anderen Namen für den Agenten wählen.",
  ],
  "too-large": ["Die Anfrage ist größer als {limit} Bytes.", "Weniger auf einmal senden."],
  "too-many-agents": [
    "Die Tags treffen auf {count} Agenten zu; eine Aktualisierung darf {limit} haben.",
    "Mit einem anderen Tag weniger Agenten wählen.",
  ],
  "too-many-destinations": [
    "Die Übertragung hat {count} Ziele.",
    "1 bis {limit} Ziele angeben; für mehr weitere Übertragungen starten.",
  ],
  "too-many-policies": ["Es wären {count} Richtlinien.", "Höchstens {limit} behalten."],
  "too-many-requests": ["{detail}", "Kurz warten, dann erneut versuchen."],
  "too-many-selected": [
    "Die Übertragung wählt {count} Pfade aus.",
    "Höchstens {limit} Pfade mit zusammen höchstens {kib} KiB auswählen.",
  ],
  "transfer-unknown": [
    "Die Übertragung {transfer_id} gibt es nicht.",
    "In der Liste der Übertragungen nachsehen. Vor langem beendete sind nur noch im Archiv; wie man es liest, steht in der Anleitung für den Betrieb.",
  ],
  unavailable: [
    "{detail}",
    "Erneut versuchen; bleibt der Fehler, findet ein Administrator die Ursache im Log der Funktion.",
  ],
  unreadable: ["{path} lässt sich nicht übertragen."],
  "update-over": [
    "Die Aktualisierung {update_id} ist bereits beendet.",
    "Die Einzelheiten stehen in der Liste der Aktualisierungen.",
  ],
  "update-unknown": [
    "Die Aktualisierung {update_id} gibt es nicht.",
    "In der Liste der Aktualisierungen nachsehen.",
  ],
  "version-unknown": [
    "Version {version} des Agenten wurde nicht veröffentlicht.",
    "Sie veröffentlichen: python -m infra.publish stage STAGE --key DATEI (docs/guides).",
  ],
  "wire-unknown": [
    "Die Nachricht hat die Protokollversion {received}, dieser Agent {known}.",
    "Den Agenten auf diesem Server auf die Version der Steuerung aktualisieren.",
  ],
  "written-wrong": [
    "Beim Zurücklesen von der Platte hatte {path} einen anderen Inhalt, als geschrieben wurde.",
    "Der nächste Versuch sendet alle betroffenen Dateien erneut. Wiederholt es sich: Platte und Arbeitsspeicher dieses Servers prüfen.",
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

/** What is wrong with a field of a request. */
const INPUTS: Record<InputWording, string> = {
  "address-form": "ist keine Adresse: ASCII verwenden, höchstens 260 Zeichen",
  "agent-name-route": "{name} gehört zu den Adressen der API: einen anderen Namen wählen",
  "agents-chosen-twice": "Die Agenten auf eine Art wählen: einzeln, mit Tags oder alle",
  "audit-record-form": "ist nicht die ID eines Audit-Eintrags",
  "bool-parsing": "ist weder true noch false",
  "bool-type": "ist weder true noch false",
  "bucket-form": "ist kein gültiger Name eines Buckets",
  "bucket-unnamed": "Den Bucket angeben: s3://bucket/präfix",
  "certificate-form": "ist kein Zertifikat in PEM mit höchstens 8192 Zeichen",
  "code-form": "ist kein Code: Kleinbuchstaben, Ziffern und Bindestriche verwenden",
  "datetime-from-date-parsing": "ist keine Zeit: eine wie 2026-11-30T08:00:00Z schreiben",
  "datetime-object-invalid": "ist keine Zeit: eine wie 2026-11-30T08:00:00Z schreiben",
  "datetime-parsing": "ist keine Zeit: eine wie 2026-11-30T08:00:00Z schreiben",
  "datetime-type": "ist keine Zeit: eine wie 2026-11-30T08:00:00Z schreiben",
  "day-form": "ist kein Datum: eines wie 2026-11-30 schreiben",
  "dict-type": "ist kein Objekt mit Feldern",
  enum: "ist keines von {expected}",
  "extra-forbidden": "ist hier nicht bekannt",
  "fingerprint-form": "ist keine SHA-256-Prüfsumme: 64 der Zeichen 0-9 und a-f",
  "finite-number": "ist keine Zahl",
  "float-parsing": "ist keine Zahl",
  "float-type": "ist keine Zahl",
  "greater-than": "ist nicht größer als {gt}",
  "greater-than-equal": "ist kleiner als {ge}",
  "hop-form": "ist nicht die ID einer Etappe: die ihrer Übertragung, ein Bindestrich und eine Nummer",
  "int-from-float": "ist keine ganze Zahl",
  "int-parsing": "ist keine ganze Zahl",
  "int-parsing-size": "ist keine ganze Zahl",
  "int-type": "ist keine ganze Zahl",
  "job-form": "ist nicht die ID eines Auftrags in AWS IoT",
  "key-long": "Ein Schlüssel in S3 hat höchstens 1024 Bytes",
  "less-than": "ist nicht kleiner als {lt}",
  "less-than-equal": "ist größer als {le}",
  "list-type": "ist keine Liste",
  "literal-error": "ist keines von {expected}",
  "location-form": "Einen Ort als agent:/absoluter/pfad, agent:remote:pfad oder s3://bucket/präfix schreiben",
  missing: "fehlt",
  "model-attributes-type": "ist kein Objekt mit Feldern",
  "model-type": "ist kein Objekt mit Feldern",
  "month-form": "ist kein Monat: einen wie 2026-11 schreiben",
  "name-form": "ist kein gültiger Name: Kleinbuchstaben, Ziffern und Bindestriche verwenden, höchstens 63",
  "name-pattern-form":
    "muss einmal das Wort hostname in geschweiften Klammern enthalten, sonst nur Kleinbuchstaben, Ziffern und Bindestriche",
  "name-start-form": "kommt in keinem Agentennamen vor: Kleinbuchstaben, Ziffern und Bindestriche verwenden",
  "names-form": "ist keine Liste von Agenten: höchstens 50 Namen schreiben, durch Kommas getrennt",
  "path-long": "Der Pfad ist länger als {limit} Bytes",
  "path-nul": "Der Pfad enthält ein NUL-Zeichen",
  "path-parent": "Der Pfad enthält '..': das Verzeichnis selbst angeben",
  "path-relative": "Der Pfad muss absolut sein: mit / beginnen",
  "object-tag-key":
    "{key}: Der Schlüssel eines Tags hat 1 bis {limit} Zeichen, und zwar Buchstaben, Ziffern, Leerzeichen und _ . : / = + - @, und beginnt nicht mit aws:",
  "object-tag-value":
    "{key}: Der Wert eines Tags hat höchstens {limit} Zeichen, und zwar Buchstaben, Ziffern, Leerzeichen und _ . : / = + - @",
  "object-tags-long": "Die Tags belegen {size} Bytes in einer Anfrage an S3: höchstens {limit} sind möglich",
  "percents-not-growing": "Die Prozentzahlen müssen von Stufe zu Stufe wachsen",
  "policy-name-route": "Keine Richtlinie kann 'test' heißen: /policies/test gehört zu den Adressen der API",
  "policy-test-year": "Richtlinien lassen sich für Zeiten zwischen den Jahren 1970 und 9998 testen",
  "prefix-name-empty": "Das Präfix enthält einen leeren Namen oder '.', was in einem Pfad nicht möglich ist",
  "prefix-parent": "Das Präfix enthält '..'",
  "prefix-slash":
    "Das Präfix beginnt mit '/': als s3://bucket/präfix mit einem einzelnen Schrägstrich schreiben",
  "release-key-form": "ist kein öffentlicher Schlüssel eines Herausgebers: 43 Zeichen in base64url",
  "remote-form":
    "ist kein gültiger Name eines Remotes: Buchstaben, Ziffern und _ . + @ - verwenden, höchstens 64",
  "root-not-printable":
    "Freigaben mit Anführungszeichen oder Steuerzeichen müssen von Hand in agent.toml eingetragen werden",
  "short-id-form": "ist keine ID: 12 der Zeichen 0-9 und a-f",
  "signed-release-form": "ist kein signiertes Release",
  "stage-form":
    "ist keine gültige Umgebung: Kleinbuchstaben, Ziffern und Bindestriche verwenden, höchstens 32",
  "string-pattern-mismatch": "hat eine Form, die hier nicht gültig ist",
  "string-too-long": "hat mehr als {max_length} Zeichen",
  "string-too-short": "hat weniger als {min_length} Zeichen",
  "string-type": "ist kein Text",
  "string-unicode": "ist kein Text",
  "tag-form": "ist kein Tag: schlüssel=wert schreiben",
  "tag-key-form":
    "ist kein gültiger Schlüssel eines Tags: Buchstaben, Ziffern und _ . : / - verwenden, höchstens 64",
  "template-destination": "{destination}: Das Ziel einer Vorlage ist ein Verzeichnis: mit / beenden",
  "thing-form": "ist kein Name in AWS IoT: Buchstaben, Ziffern und : _ - verwenden, höchstens 128",
  "time-beyond-calendar": "In UTC liegt das vor dem Jahr 1 oder nach 9999",
  "time-parsing": "ist keine Uhrzeit: eine wie 08:00 schreiben",
  "time-type": "ist keine Uhrzeit: eine wie 08:00 schreiben",
  "time-with-zone": "Nur die Uhrzeit schreiben, wie 08:00, und ihre Zeitzone in `zone`",
  "time-zone": "{name} ist keine Zeitzone: eine wie Europe/Berlin schreiben",
  "timezone-aware": "ist eine Zeit ohne Zeitzone",
  "too-long": "hat mehr als {max_length} Einträge",
  "too-short": "hat weniger als {min_length} Einträge",
  "transfer-form": "ist nicht die ID einer Übertragung: 20 Kleinbuchstaben und Ziffern",
  "tuple-type": "ist keine Liste",
  "version-form": "ist keine Version: eine wie 0.2.0 schreiben",
};

/** What a new version of an agent checks on its host. */
const CHECKS: Record<string, string> = {
  broker: "Broker",
  certificate: "Zertifikat",
  clock: "Uhr",
  configuration: "Konfiguration",
  connection: "Verbindung zum Broker",
  "control plane": "Antwort der Steuerung",
  "damaged state": "beschädigter Zustand",
  hello: "Anmeldung bei der Steuerung",
  journal: "Journal",
  keys: "Schlüssel",
  "lane port": "Port der Lane",
  metrics: "Metriken",
  proxy: "Proxy",
  rclone: "rclone",
  registration: "Registrierung",
  remote: "Remote",
  root: "Freigabe",
  "state directory": "Zustandsverzeichnis",
  updates: "Aktualisierungen",
};

/** What policies permit, by action. */
const ACTIONS: Record<string, string> = {
  transfer: "übertragen",
  stop: "anhalten",
  browse: "Verzeichnisse ansehen",
  read: "ansehen",
  drain_agent: "Agenten für Neues sperren",
  read_log: "Protokolle von Agenten lesen",
  manage_agent: "Agenten verwalten",
  manage_template: "Vorlagen verwalten",
  manage_policy: "Richtlinien ändern",
};

export function titleInGerman(code: string): string | undefined {
  return lookUp(TITLES, code);
}

/** Return message and advice of a wording, filled in; undefined if there is no translation. */
export function wordsInGerman(
  wording: string,
  parameters: Readonly<Record<string, string>>,
): { message: string; advice: string } | undefined {
  const [message, advice = ""] = lookUp(WORDINGS, wording) ?? [];
  if (message === undefined) return undefined;
  return { message: filled(message, parameters), advice: filled(advice, parameters) };
}

export function inputInGerman(
  wording: string,
  parameters: Readonly<Record<string, string>>,
): string | undefined {
  const message = lookUp(INPUTS, wording);
  return message === undefined ? undefined : filled(message, parameters);
}

function filled(template: string, parameters: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) =>
    parameterInGerman(name, lookUp(parameters, name) ?? ""),
  );
}

/** Return the name of a check of `crosshaul agent doctor`, as in `root /data`. */
function checkInGerman(name: string): string {
  const [kind = "", ...rest] = name.split(" ");
  return lookUp(CHECKS, name) ?? [lookUp(CHECKS, kind) ?? kind, ...rest].join(" ");
}

/** Translate parameters that are words of Crosshaul, not names. */
function parameterInGerman(name: string, value: string): string {
  if (name === "hop" || name === "previous") return value.replace(/^hop (\d+)$/i, "Etappe $1");
  if (name === "action") return lookUp(ACTIONS, value) ?? value;
  if (name === "checks") return value.split("; ").map(checkInGerman).join(", ");
  return value;
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
