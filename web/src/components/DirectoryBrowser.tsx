import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import BreadcrumbGroup from "@cloudscape-design/components/breadcrumb-group";
import Button from "@cloudscape-design/components/button";
import Icon from "@cloudscape-design/components/icon";
import Link from "@cloudscape-design/components/link";
import LiveRegion from "@cloudscape-design/components/live-region";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { type RefObject, useEffect, useRef, useState } from "react";
import { asProblem } from "../api/problem";
import { useApi } from "../appContext";
import { elided, safeText } from "../format/names";
import { bytes, count } from "../format/sizes";
import { useBuckets } from "../hooks/queries";
import { useNarrow } from "../hooks/useMedia";
import { locale, t } from "../i18n";
import { joined, trail } from "../model/locations";
import { areTooMany, includesOf, MAX_NAMES, namesOf } from "../model/selection";
import type { DirectoryEntry } from "../types";
import { type BrowsablePlace, s3Place, startPath } from "./browsablePlaces";
import { Loading } from "./Loading";
import { ProblemAlert } from "./ProblemAlert";
import { Name, NameList, When } from "./text";

interface Props {
  place: BrowsablePlace;
  /** The current text of the field. */
  start: string;
  end: "source" | "destination";
  /** The include patterns so far. Where they may be changed, several entries can be chosen. */
  include?: readonly string[];
  /** Called with the path, and with the include patterns if several of its entries were chosen. */
  onChoose(path: string, include: string[]): void;
  onClose(): void;
}

/** Entries of the first page, which shows at once, and of each further one. */
const PAGE_SIZE = 200;
const NEXT_PAGE_SIZE = 500;

/** Browse S3, after loading the list of buckets. */
export function BucketBrowser(props: Omit<Props, "place">) {
  const buckets = useBuckets();
  if (buckets.data) return <DirectoryBrowser place={s3Place(buckets.data.buckets)} {...props} />;
  return (
    <Modal visible size="large" onDismiss={props.onClose} header={t().browser.title("S3")}>
      {buckets.isError ? (
        <ProblemAlert error={buckets.error} onRetry={() => buckets.refetch()} />
      ) : (
        <Loading what={t().browser.buckets} />
      )}
    </Modal>
  );
}

/** Browse directories as they are now; each is listed only when it is opened. */
export function DirectoryBrowser({ place, start, end, include, onChoose, onClose }: Props) {
  const [path, setPath] = useState<string | null>(() => startPath(start, place));
  const [selected, setSelected] = useState<readonly DirectoryEntry[]>([]);
  /** The directory of the field, if it does not exist: its nearest parent is shown. */
  const [missing, setMissing] = useState<string | null>(null);
  /** Whether the person has moved in the dialog: from then on the focus follows to the directories' trail. */
  const [moved, setMoved] = useState(false);
  const [entered, setEntered] = useState(path);
  const toCreate = end === "destination" && missing !== null && path === entered && selected.length === 0;
  const choice =
    path === null
      ? null
      : chosenPath(toCreate ? missing : path, selected, end === "destination" || place.flat);
  const includes = selected.length > 1 ? includesOf(selected) : [];
  function open(next: string | null): void {
    setSelected([]);
    setMoved(true);
    setPath(next);
  }
  /** Show the parent of a directory that does not exist. */
  function onMissing(gone: string): void {
    const parent = parentOf(gone, place);
    setMissing(missing ?? gone);
    setEntered(parent);
    setPath(parent);
  }
  return (
    <Modal
      visible
      size="large"
      onDismiss={onClose}
      header={t().browser.title(place.name)}
      footer={
        <Footer
          choice={choice}
          several={include !== undefined && path !== null}
          selected={selected}
          tooMany={areTooMany(includes)}
          replaced={includes.length && !namesOf(include ?? []) ? (include ?? []) : []}
          onChoose={(chosen) => onChoose(chosen, includes)}
          onClose={onClose}
        />
      }
    >
      <div className="browse">
        <LiveRegion hidden>
          {path === null ? place.rootsLabel : t().browser.contents(safeText(path))}
        </LiveRegion>
        {missing !== null && (
          <Alert type="info">
            <Name>
              {end === "destination" ? t().browser.willBeCreated(missing) : t().browser.missing(missing)}
            </Name>
          </Alert>
        )}
        {path === null ? (
          <RootsTable place={place} onOpen={open} />
        ) : (
          <Directory
            key={path}
            place={place}
            path={path}
            files={end === "source"}
            several={include !== undefined}
            focuses={moved}
            selected={selected}
            onSelect={setSelected}
            onOpen={open}
            onMissing={onMissing}
          />
        )}
      </div>
    </Modal>
  );
}

/** Return the directory above, or null above a root. */
export function parentOf(path: string, { roots }: Pick<BrowsablePlace, "roots">): string | null {
  const steps = trail(
    path.replace(/\/+$/, "") || path,
    roots.map((top) => top.path),
  );
  return steps.at(-2)?.path ?? null;
}

/** Return the entries with directories first, then by name, size or time. */
export function sortedEntries(
  entries: readonly DirectoryEntry[],
  by: keyof Pick<DirectoryEntry, "name" | "size" | "modified">,
  descending: boolean,
): DirectoryEntry[] {
  const order = new Intl.Collator(locale(), { numeric: true });
  const compare = (one: DirectoryEntry, other: DirectoryEntry) => {
    if (by === "size") return (one.size ?? 0) - (other.size ?? 0);
    if (by === "modified") return (one.modified ?? "").localeCompare(other.modified ?? "");
    return order.compare(one.name, other.name);
  };
  const isDirectory = ({ type }: DirectoryEntry) => type === "directory";
  return [...entries].sort(
    (one, other) =>
      Number(isDirectory(other)) - Number(isDirectory(one)) ||
      compare(one, other) * (descending ? -1 : 1) ||
      order.compare(one.name, other.name),
  );
}

/**
 * Return the chosen path: the entry, or its contents; the directory's contents if none or several are selected.
 */
export function chosenPath(path: string, selected: readonly DirectoryEntry[], inside: boolean): string {
  const [entry, ...others] = selected;
  if (!entry || others.length) return joined(path, "");
  return joined(path, entry.name) + (inside && entry.type !== "file" ? "/" : "");
}

interface FooterProps extends Pick<Props, "onClose"> {
  choice: string | null;
  /** Whether several entries may be selected. */
  several: boolean;
  selected: readonly DirectoryEntry[];
  /** Whether the API would refuse so many names. */
  tooMany: boolean;
  /** Include patterns that the selection replaces. */
  replaced: readonly string[];
  onChoose(path: string): void;
}

function Footer({ choice, several, selected, tooMany, replaced, onChoose, onClose }: FooterProps) {
  const labels = t().browser;
  return (
    <SpaceBetween size="xs">
      <Box color="text-body-secondary" fontSize="body-s">
        <div className="selection">
          <NameList names={selected.map(({ name, type }) => name + (type === "directory" ? "/" : ""))} />
          {selected.length === 0 && several && labels.severalHint}
        </div>
      </Box>
      {tooMany && <Alert type="warning">{labels.tooMany(count(MAX_NAMES))}</Alert>}
      {replaced.length > 0 && (
        <Alert type="info">
          <Name>{labels.replaced(replaced.join(", "))}</Name>
        </Alert>
      )}
      <Box float="right">
        <SpaceBetween direction="horizontal" size="xs">
          <Button variant="link" onClick={onClose}>
            {t().common.cancel}
          </Button>
          <Button
            variant="primary"
            disabled={choice === null || tooMany}
            onClick={() => choice !== null && onChoose(choice)}
          >
            {choice === null
              ? labels.choose
              : selected.length > 1
                ? labels.severalVerb(count(selected.length))
                : labels.use(elided(safeText(choice), 40))}
          </Button>
        </SpaceBetween>
      </Box>
    </SpaceBetween>
  );
}

const ROOT_COLUMNS = ["path", "access", "about"];

function RootsTable({ place, onOpen }: { place: BrowsablePlace; onOpen(path: string): void }) {
  return (
    <Table
      variant="embedded"
      items={place.roots}
      trackBy="path"
      empty={place.noRoots}
      ariaLabels={{ tableLabel: place.rootsLabel }}
      columnDisplay={ROOT_COLUMNS.map((id) => ({ id, visible: id === "path" || !place.flat }))}
      columnDefinitions={[
        {
          id: "path",
          header: place.rootsLabel,
          isRowHeader: true,
          cell: ({ path }) => <DirectoryLink onOpen={() => onOpen(path)} name={path} />,
        },
        {
          id: "access",
          header: t().browser.access,
          cell: ({ access }) => (access === "rw" ? t().browser.rw : t().browser.ro),
        },
        {
          id: "about",
          header: t().browser.free,
          cell: ({ about }) => about,
        },
      ]}
    />
  );
}

interface DirectoryProps {
  place: BrowsablePlace;
  path: string;
  /** Whether files may be selected. */
  files: boolean;
  /** Whether several entries may be selected. */
  several: boolean;
  selected: readonly DirectoryEntry[];
  onSelect(entries: readonly DirectoryEntry[]): void;
  onOpen(path: string | null): void;
  /** Called if the directory does not exist. */
  onMissing(path: string): void;
  /** Whether the trail of directories takes the focus, which the clicked entry took along. */
  focuses: boolean;
}

type SortField = Parameters<typeof sortedEntries>[1];

function Directory(props: DirectoryProps) {
  const { place, path, files, several, selected, focuses, onSelect, onOpen, onMissing } = props;
  const [typed, setTyped] = useState("");
  const [find, setFind] = useState("");
  const listing = useListing(place, path, find);
  const narrow = useNarrow();
  const [sorting, setSorting] = useState<{ by: SortField; descending: boolean }>({
    by: "name",
    descending: false,
  });
  const listed = listing.data?.pages.flatMap((page) => page.entries) ?? [];
  const entries = sortedEntries(listed, sorting.by, sorting.descending);
  const top = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (focuses) top.current?.focus();
  }, [focuses]);
  const gone = listing.isError && asProblem(listing.error).code === PATH_MISSING && !isRoot(place, path);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the agent has answered
  useEffect(() => {
    if (gone) onMissing(path);
  }, [gone]);
  const found = `${count(entries.length)}${listing.hasNextPage ? "+" : ""}`;
  if (listing.isError && entries.length === 0) {
    return (
      <SpaceBetween size="m">
        <Top box={top} place={place} path={path} onOpen={onOpen} />
        <ProblemAlert error={listing.error} onRetry={() => listing.refetch()} />
      </SpaceBetween>
    );
  }
  return (
    <SpaceBetween size="s">
      <Top box={top} place={place} path={path} onOpen={onOpen} />
      <Table
        variant="embedded"
        items={entries}
        wrapLines
        trackBy={({ type, name }) => `${type} ${name}`}
        empty={nothing(place, find, listing.hasNextPage)}
        loading={listing.isPending}
        loadingText={t().browser.loading(place.name)}
        selectionType={several ? "multi" : "single"}
        selectedItems={selected}
        onSelectionChange={({ detail }) => onSelect(detail.selectedItems)}
        isItemDisabled={(entry) =>
          unselectableReason(entry) !== null || entry.type === "other" || (entry.type === "file" && !files)
        }
        ariaLabels={{
          tableLabel: t().browser.contents(path),
          selectionGroupLabel: t().browser.selection,
          allItemsSelectionLabel: () => t().browser.selectAll,
          itemSelectionLabel: (_, { name }) => t().browser.select(safeText(name)),
        }}
        columnDefinitions={columns(narrow, (name) => onOpen(joined(path, name)))}
        sortingColumn={{ sortingField: sorting.by }}
        sortingDescending={sorting.descending}
        onSortingChange={({ detail }) =>
          setSorting({
            by: (detail.sortingColumn.sortingField ?? "name") as SortField,
            descending: detail.isDescending ?? false,
          })
        }
        filter={
          <TextFilter
            filteringText={typed}
            onChange={({ detail }) => setTyped(detail.filteringText)}
            onDelayedChange={({ detail }) => setFind(detail.filteringText)}
            filteringPlaceholder={t().browser.find}
            filteringAriaLabel={t().browser.find}
            countText={t().common.found(found)}
          />
        }
        footer={
          listing.hasNextPage && (
            <Box textAlign="center">
              <Button loading={listing.isFetchingNextPage} onClick={() => listing.fetchNextPage()}>
                {t().browser.more(count(entries.length))}
              </Button>
              {sorting.by !== "name" && <div>{t().browser.sortedSoFar(count(entries.length))}</div>}
            </Box>
          )
        }
      />
      {listing.isError && <ProblemAlert error={listing.error} onRetry={() => listing.fetchNextPage()} />}
    </SpaceBetween>
  );
}

/** Problem code of a directory that does not exist. */
const PATH_MISSING = "path-missing";

function isRoot(place: BrowsablePlace, path: string): boolean {
  return place.roots.some((root) => root.path === path);
}

interface TopProps extends Pick<DirectoryProps, "place" | "path" | "onOpen"> {
  box: RefObject<HTMLDivElement | null>;
}

/** The trail of directories, which can take the focus. */
function Top({ box, ...trailProps }: TopProps) {
  return (
    <div ref={box} tabIndex={-1} className="trail">
      <Trail {...trailProps} />
    </div>
  );
}

function nothing(place: BrowsablePlace, find: string, more: boolean): string {
  if (!find) return place.flat ? t().browser.nothingUnder : t().browser.empty;
  return more ? t().browser.noneYet : t().browser.noName;
}

/**
 * List a directory page by page; the agent searches for names, since the page holds only part of the list.
 */
function useListing(place: BrowsablePlace, path: string, find: string) {
  const api = useApi();
  return useInfiniteQuery({
    queryKey: ["browse", place.name, path, find],
    queryFn: ({ pageParam }) =>
      place.list(api, path, { after: pageParam, limit: pageParam ? NEXT_PAGE_SIZE : PAGE_SIZE, find }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    placeholderData: keepPreviousData,
    retry: false,
    refetchOnWindowFocus: false,
    gcTime: 0,
  });
}

function Trail({ place, path, onOpen }: Pick<DirectoryProps, "place" | "path" | "onOpen">) {
  const steps = trail(
    path,
    place.roots.map((top) => top.path),
  );
  const items = [
    { text: place.name, href: "#" },
    ...steps.map((step) => ({ text: safeText(step.text), href: `#${step.path}` })),
  ];
  return (
    <BreadcrumbGroup
      ariaLabel={t().browser.directories}
      items={items}
      onFollow={(event) => {
        event.preventDefault();
        const step = steps[items.findIndex((item) => item.href === event.detail.href) - 1];
        onOpen(step?.path ?? null);
      }}
    />
  );
}

function columns(
  narrow: boolean,
  onOpen: (name: string) => void,
): TableProps.ColumnDefinition<DirectoryEntry>[] {
  const all: TableProps.ColumnDefinition<DirectoryEntry>[] = [
    {
      id: "name",
      sortingField: "name",
      header: t().common.name,
      isRowHeader: true,
      cell: (entry) => <EntryName entry={entry} onOpen={onOpen} />,
    },
    {
      id: "size",
      sortingField: "size",
      header: t().browser.size,
      width: 110,
      cell: ({ size, type }) => (type === "file" && size !== null ? bytes(size) : ""),
    },
    {
      id: "modified",
      sortingField: "modified",
      header: t().browser.modified,
      width: 210,
      cell: ({ modified }) => modified && <When at={modified} />,
    },
  ];
  return narrow ? all.slice(0, 2) : all;
}

/** Return why a name cannot be part of a path, or null if it can. */
export function unselectableReason({ name, utf8 }: DirectoryEntry): string | null {
  if (!utf8) return t().browser.notUtf8;
  if (["", ".", ".."].includes(name)) return t().browser.invalidName;
  return /[\r\n]/.test(name) ? t().browser.lineBreak : null;
}

function EntryName({ entry, onOpen }: { entry: DirectoryEntry; onOpen(name: string): void }) {
  const why = unselectableReason(entry);
  if (why !== null) {
    return (
      <>
        <Icon name="status-warning" /> <Name>{entry.name}</Name> {why}
      </>
    );
  }
  if (entry.type === "directory" || entry.type === "symlink") {
    return (
      <DirectoryLink onOpen={() => onOpen(entry.name)} name={entry.name} link={entry.type === "symlink"} />
    );
  }
  return (
    <>
      <Icon name={entry.type === "file" ? "file" : "status-warning"} /> <Elided name={entry.name} />
    </>
  );
}

function DirectoryLink({ name, onOpen, link = false }: { name: string; onOpen(): void; link?: boolean }) {
  return (
    <Link onFollow={onOpen} ariaLabel={t().browser.open(safeText(name))}>
      <Icon name={link ? "external" : "folder"} /> <Elided name={name} />
      {link && t().browser.link}
    </Link>
  );
}

/** Characters of a name that are shown: names of more lines would hide the others. */
const MAX_NAME_CHARS = 56;

/**
 * A name; of a long one the beginning and the end, which tell names of one kind apart. The whole name is shown
 * while its row has the keyboard's focus and on hover, and read by screen readers.
 */
function Elided({ name }: { name: string }) {
  const text = safeText(name);
  const short = elided(text, MAX_NAME_CHARS);
  if (short === text) return <Name>{name}</Name>;
  return (
    <span className="elided" title={text}>
      <bdi className="name short" aria-hidden="true">
        {short}
      </bdi>
      <bdi className="name full">{text}</bdi>
    </span>
  );
}
