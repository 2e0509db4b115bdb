// SPDX-License-Identifier: GPL-2.0

//! The four calls of `io_uring_register(2)`.
//!
//! All run under the `uring_lock` of the calling ring, and may sleep.

use super::{
    channel::{Channel, Parameters},
    delivery::Mode,
    handles::Handles,
    member::{Member, Rights, Service, DOOR},
    ops,
    registry::{Attachment, ChannelNodes, Entry, Key, NameNode},
    rfl::{
        anon_file::{self, UnboundFile},
        inode::Access,
        ipc_namespace::IpcNamespaceId,
        shared_region::Layout,
    },
    ring::Slot,
    subscriber::Subscriber,
    uapi::{self, channel_flags, subscriber_flags, ChannelAttach, ChannelCreate},
};
use core::mem::size_of;
use kernel::{
    alloc::flags::GFP_KERNEL_ACCOUNT,
    fs::file::{flags::O_CLOEXEC, File, FileDescriptorReservation, LocalFile},
    prelude::*,
    sync::{aref::ARef, Arc},
    uaccess::{UserPtr, UserSlice},
};

/// Does what `opcode` says.
pub(crate) fn register(handles: &mut Handles, opcode: u32, arg: UserPtr, nr_args: u32) -> Result {
    match opcode {
        uapi::CREATE => create(handles, arg, nr_args),
        uapi::ATTACH => attach(handles, arg, nr_args),
        uapi::DETACH => {
            no_argument(arg)?;
            handles.detach(nr_args).or_else(|_| expel(nr_args))
        }
        uapi::DESTROY => {
            no_argument(arg)?;
            destroy(nr_args)
        }
        _ => Err(EINVAL),
    }
}

fn no_argument(arg: UserPtr) -> Result {
    if arg.as_const_ptr().is_null() {
        Ok(())
    } else {
        Err(EINVAL)
    }
}

/// Copies the one structure a call has for its argument.
fn read<T: FromBytes + IntoBytes>(arg: UserPtr, nr_args: u32) -> Result<T> {
    if nr_args != 1 {
        return Err(EINVAL);
    }
    let mut value = T::new_zeroed();

    UserSlice::new(arg, size_of::<T>())
        .reader()
        .read_slice(value.as_mut_bytes())?;
    Ok(value)
}

/// Copies the structure back, with what it is to tell.
fn write<T: IntoBytes + zerocopy::Immutable>(arg: UserPtr, value: &T) -> Result {
    UserSlice::new(arg, size_of::<T>())
        .writer()
        .write_slice(value.as_bytes())
}

impl Parameters {
    /// Checks what user space asks for.
    fn new(create: &ChannelCreate) -> Result<Self> {
        let &ChannelCreate {
            flags,
            ring_entries,
            max_msg_size,
            ..
        } = create;

        if flags & !channel_flags::ALL != 0
            || create.reserved != [0; 3]
            || !ring_entries.is_power_of_two()
            || ring_entries > uapi::MAX_RING_ENTRIES
            || !(1..=uapi::MAX_MSG_SIZE).contains(&max_msg_size)
        {
            return Err(EINVAL);
        }
        let layout = Layout::<Slot>::new(ring_entries as usize, max_msg_size as usize)
            .filter(|layout| i32::try_from(layout.size()).is_ok())
            .ok_or(EINVAL)?;

        let mode = Mode::from_flags(flags)?;
        let lossy = flags & channel_flags::LOSSY != 0;

        if lossy && mode != Mode::Broadcast {
            return Err(EINVAL);
        }
        Ok(Self {
            mode,
            private: flags & channel_flags::PRIVATE != 0,
            lossy,
            ring_entries,
            max_msg_size,
            layout,
            max_subscribers: crate::max_subscribers(),
            first_position: crate::first_position(),
        })
    }
}

fn create(handles: &mut Handles, arg: UserPtr, nr_args: u32) -> Result {
    let request: ChannelCreate = read(arg, nr_args)?;
    let parameters = Parameters::new(&request)?;
    let key = (request.key != 0).then_some(Key {
        namespace: IpcNamespaceId::current(),
        key: request.key,
    });

    handles.reserve_created()?;
    // Nobody finds the channel before it is published, but its names are its own from here on.
    let nodes = ChannelNodes::new()?;
    let id = ops::registry().reserve_channel(key, nodes)?;
    let made =
        make_channel(id, parameters, request.mode as u16 & uapi::MODE_BITS).and_then(|made| {
            write(
                arg,
                &ChannelCreate {
                    channel_id_out: id,
                    ..request
                },
            )?;
            Ok(made)
        });

    match made {
        Ok((channel, door)) => {
            handles.remember_created(id);
            ops::registry().publish_channel(Entry {
                channel,
                door,
                owner: handles.owner,
            });
            Ok(())
        }
        Err(error) => {
            let name = ops::registry().release(id);

            drop(name);
            Err(error)
        }
    }
}

/// Makes a channel, and the file of those who send to it without attaching.
fn make_channel(id: u32, parameters: Parameters, mode: u16) -> Result<(Arc<Channel>, ARef<File>)> {
    let (door, inode) = UnboundFile::<Subscriber>::new(mode)?;
    let channel = Channel::new(id, parameters, inode)?;
    let rights = Rights {
        send: true,
        recv: false,
    };
    let member = Member::new(DOOR, rights, Service::default())?;
    let door = door.bind(KBox::new(
        Subscriber {
            channel: channel.clone(),
            member: member.clone(),
        },
        GFP_KERNEL_ACCOUNT,
    )?);

    channel.join(&member, false)?;
    Ok((channel, door))
}

fn attach(handles: &mut Handles, arg: UserPtr, nr_args: u32) -> Result {
    let request: ChannelAttach = read(arg, nr_args)?;
    let flags = request.flags;
    let rights = Rights {
        send: flags & subscriber_flags::SEND != 0,
        recv: flags & subscriber_flags::RECV != 0,
    };
    let replay = flags & subscriber_flags::REPLAY != 0;
    let lossy = flags & subscriber_flags::LOSSY != 0;
    let from_fd = flags & subscriber_flags::FROM_FD != 0;
    let notices = flags & subscriber_flags::EVENTS != 0;

    if flags & !subscriber_flags::ALL != 0
        || request.reserved != [0; 3]
        || !(rights.send || rights.recv)
        || ((replay || lossy || notices) && !rights.recv)
        || (from_fd && request.key != 0)
    {
        return Err(EINVAL);
    }
    let source = if from_fd {
        Source::of_fd(request.channel_id, rights)?
    } else {
        Source::by_name(&request)?
    };
    source.check(rights)?;
    let channel = source.channel();
    if (replay || lossy) && channel.parameters.mode != Mode::Broadcast {
        return Err(EINVAL);
    }

    let node = NameNode::new()?;
    let id = ops::registry().reserve_subscriber(node)?;
    let service = Service {
        lossy: rights.recv && (lossy || channel.parameters.lossy),
        notices,
    };
    let attached = join(handles, channel, id, rights, service, replay, |fd| {
        write(
            arg,
            &ChannelAttach {
                channel_fd: fd as i32,
                local_id_out: id,
                mmap_offset_out: 0,
                region_size: channel.region().layout().size() as u32,
                ..request
            },
        )?;
        // Once more: that took as long as the caller liked.
        source.check(rights)
    });

    if attached.is_err() {
        let name = ops::registry().release(id);

        drop(name);
    }
    attached
}

/// What an attachment comes from.
enum Source {
    /// A name in the caller's namespace.
    Name(Arc<Channel>),
    /// A subscriber's file. Whoever has got hold of that, from wherever, may do what the subscriber
    /// may.
    Fd(Arc<Channel>, Arc<Member>),
}

impl Source {
    fn by_name(request: &ChannelAttach) -> Result<Self> {
        let registry = ops::registry();
        let entry = match request.key {
            0 => registry.by_id(request.channel_id)?,
            key => registry.by_key(key)?,
        };

        Ok(Self::Name(entry.channel.clone()))
    }

    fn of_fd(fd: u32, rights: Rights) -> Result<Self> {
        let file = LocalFile::fget(fd)?;
        let subscriber = anon_file::data::<Subscriber>(&file).ok_or(EINVAL)?;

        if !subscriber.member.rights.include(rights) {
            return Err(EACCES);
        }
        Ok(Self::Fd(
            subscriber.channel.clone(),
            subscriber.member.clone(),
        ))
    }

    fn channel(&self) -> &Arc<Channel> {
        match self {
            Self::Name(channel) | Self::Fd(channel, _) => channel,
        }
    }

    /// Whether the caller may attach with these rights now. Sleeps.
    fn check(&self, rights: Rights) -> Result {
        match self {
            Self::Name(channel) => {
                if rights.recv {
                    channel.permission(Access::Read)?;
                }
                if rights.send {
                    channel.permission(Access::Write)?;
                }
                Ok(())
            }
            Self::Fd(channel, member) if channel.is_destroyed() || member.is_detached() => {
                Err(ENOENT)
            }
            Self::Fd(..) => Ok(()),
        }
    }
}

/// Makes a subscriber and all that belongs to it; `tell` has to tell user space and to agree, or
/// there is none.
fn join(
    handles: &mut Handles,
    channel: &Arc<Channel>,
    id: u32,
    rights: Rights,
    service: Service,
    replay: bool,
    tell: impl FnOnce(u32) -> Result,
) -> Result {
    handles.reserve()?;

    let member = Member::new(id, rights, service)?;
    let file = anon_file::new(KBox::new(
        Subscriber {
            channel: channel.clone(),
            member: member.clone(),
        },
        GFP_KERNEL_ACCOUNT,
    )?)?;
    let fd = FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC)?;

    // Before it joins: the caller's memory may keep it waiting, and nobody shall wait for it.
    tell(fd.reserved_fd())?;
    // Before others hear of it, who may want to detach it.
    ops::registry().publish_subscriber(Attachment {
        channel: channel.clone(),
        member: member.clone(),
    });
    channel.join(&member, replay)?;
    handles.insert(id, file.clone());
    fd.fd_install(file);
    Ok(())
}

/// Detaches a subscriber of another ring, as the owner of its channel may. The id stays that
/// ring's, which may still try to use it.
fn expel(id: u32) -> Result {
    let Attachment { channel, member } = ops::registry().subscriber(id)?.clone();

    if !channel.may_destroy() {
        return Err(EPERM);
    }
    if member.is_detached() {
        return Err(ENOENT);
    }
    channel.leave(&member);
    Ok(())
}

fn destroy(id: u32) -> Result {
    let entry = {
        let mut registry = ops::registry();

        if !registry.by_id(id)?.channel.may_destroy() {
            return Err(EPERM);
        }
        registry.remove(id).ok_or(ENOENT)?
    };

    entry.channel.destroy();
    Ok(())
}

#[cfg(ioipc_kunit)]
pub(crate) mod tests;
